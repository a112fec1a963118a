"""A provider that is tested, in a session of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from anyjob.testing.harness.backend import OtherProcess
from anyjob.testing.harness.recipe import NAME, Origin
from anyjob.testing.harness.samples import Samples


class ProviderHarness:
    """A provider, and what belongs to it.

    Args:
        origin: how this session, another, or another process makes it.
        samples: work for its backends; None: commands and calls, where they take them.
        patience: seconds after which something that should happen has not.
    """

    def __init__(
        self, origin: Origin, samples: Sequence[Samples] | None = None, patience: float = 30.0
    ) -> None:
        self.session = origin.session()
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

    def again(self) -> ProviderHarness:
        """Return the same provider in another session, as if it had been started anew."""
        return ProviderHarness(self.origin, self.samples, self.patience)

    def elsewhere(self, function: Callable[..., Any]) -> Any:
        """Return ``function(offer)``, called in another process that has the same provider.

        Raises:
            AssertionError: it raised, or did not end in time.
        """
        make = functools.partial(ProviderHarness, self.origin, self.samples, self.patience)
        with OtherProcess(make, function, {}) as other:
            return other.value(self.patience)

    def close(self) -> None:
        """Close the session."""
        self.session.close()
