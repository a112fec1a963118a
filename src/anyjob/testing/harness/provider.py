"""A provider that is tested, in a session of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from anyjob.registry.entry_points import PROVIDERS
from anyjob.testing.harness.other_process import OtherProcess
from anyjob.testing.harness.samples import Samples
from anyjob.testing.harness.session_factory import NAME, SessionFactory


class ProviderHarness:
    """A provider, and what belongs to it.

    Args:
        factory: makes its session; in another process, too.
        samples: work for its backends; None: commands and calls, where they take them.
        timeout: seconds after which something that should happen has not.
    """

    def __init__(
        self, factory: SessionFactory, samples: Sequence[Samples] | None = None, timeout: float = 30.0
    ) -> None:
        self.session = factory.make_session()
        self.factory = factory
        self.samples = samples
        self.timeout = timeout

    @property
    def provider(self) -> Any:
        """The provider that is tested."""
        return self.session.get_provider(NAME)

    @property
    def entry_point(self) -> tuple[str, str] | None:
        """The group and the name that it is installed as; None where it is given as a class."""
        return (PROVIDERS, self.factory.type_name) if self.factory.is_installed else None

    def backends(self) -> list[Any]:
        """Return what it offers.

        Raises:
            AssertionError: nothing.
        """
        found = self.provider.backends()
        assert isinstance(found, list), f"backends() is {found!r}, which is no list"
        assert found, "backends() is empty: give the kit a provider that offers something"
        return found

    def reopen(self) -> ProviderHarness:
        """Return the same provider in another session, as if it had been started anew."""
        return ProviderHarness(self.factory, self.samples, self.timeout)

    def in_other_process(self, function: Callable[..., Any]) -> Any:
        """Return ``function(harness)``, called in another process that has the same provider.

        Raises:
            AssertionError: it raised, or did not end in time.
        """
        make_harness = functools.partial(ProviderHarness, self.factory, self.samples, self.timeout)
        with OtherProcess(make_harness, function, {}) as other:
            return other.value(self.timeout)

    def close(self) -> None:
        """Close the session."""
        self.session.close()
