"""A provider that is tested, in a session of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from anyjob.config import Config
from anyjob.registry import Registry
from anyjob.session import Session
from anyjob.testing.place import NAME, Elsewhere
from anyjob.testing.samples import Samples


class Offer:
    """A provider, and what belongs to it.

    Args:
        session: where it is configured.
        origin: how another session, or another process, makes the same.
        samples: work for its backends; None: commands and calls, where they take them.
        patience: seconds after which something that should happen has not.
    """

    def __init__(
        self, session: Session, origin: OfferOrigin, samples: Sequence[Samples] | None, patience: float
    ) -> None:
        self.session = session
        self.origin = origin
        self.samples = samples
        self.patience = patience

    @property
    def provider(self) -> Any:
        """The provider that is tested."""
        return self.session.get_provider(NAME)

    def backends(self) -> list[Any]:
        """Return what it offers.

        Raises:
            AssertionError: nothing.
        """
        found = self.provider.backends()
        assert isinstance(found, list), f"backends() is {found!r}, which is no list"
        assert found, "backends() is empty: give the kit a provider that offers something"
        return found

    def again(self) -> Offer:
        """Return the same provider in another session, as if it had been started anew."""
        return self.origin.place(self.samples, self.patience)

    def elsewhere(self, function: Callable[..., Any]) -> Any:
        """Return ``function(offer)``, called in another process that has the same provider.

        Raises:
            AssertionError: it raised, or did not end in time.
        """
        with Elsewhere(self.origin, function, {}, self.samples, self.patience) as other:
            return other.value(self.patience)

    def close(self) -> None:
        """Close the session."""
        self.session.close()


class OfferOrigin:
    """How to make an offer, in any process.

    Args:
        type_name: the type of the provider, as registered.
        provider_class: its class, where it is not installed.
        options: what the configuration says of it.
        state: the directory that durable backends keep their jobs in.
    """

    def __init__(
        self, type_name: str, provider_class: type[Any] | None, options: Mapping[str, Any], state: Path
    ) -> None:
        self.type_name = type_name
        self.provider_class = provider_class
        self.options = dict(options)
        self.state = state

    def place(self, samples: Sequence[Samples] | None = None, patience: float = 30.0) -> Offer:
        """Make it, with a session of its own."""
        registry = Registry()
        if self.provider_class is not None:
            registry.register_provider(self.type_name, self.provider_class)
        tables = {"providers": {NAME: {"type": self.type_name, **self.options}}}
        config = Config.from_dict(tables, origin="the conformance kit")
        return Offer(Session(config=config, registry=registry, state=self.state), self, samples, patience)
