"""The kit's class for providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from anyjob.testing.checks.plugin.listing import Listing
from anyjob.testing.checks.provider.accounts import Accounts
from anyjob.testing.checks.provider.offered_work import OfferedWork
from anyjob.testing.checks.provider.offers import Offers
from anyjob.testing.checks.provider.service_faults import ServiceFaults
from anyjob.testing.conformance import Conformance
from anyjob.testing.environment.leftover_processes import end_leftovers
from anyjob.testing.harness.provider import ProviderHarness
from anyjob.testing.harness.samples import Samples
from anyjob.testing.harness.session_factory import OTHER, SessionFactory


class ProviderConformance(Offers, Accounts, ServiceFaults, OfferedWork, Listing, Conformance):
    """What every `BaseProvider` promises.

    ::

        class TestAcmeAccountConforms(ProviderConformance):
            provider_type = "acme"

            @pytest.fixture
            def options(self, service):
                return {"url": service.url, "token": service.token}

            @pytest.fixture
            def engine(self, service):
                return service
    """

    provider_type: ClassVar[str] = ""
    """The type as installed; where it is empty, that of ``provider_class``."""
    provider_class: ClassVar[type[Any] | None] = None
    """The class, where it is not installed under a name."""
    timeout: ClassVar[float] = 30.0
    """Seconds after which something that should happen has not."""
    foreign_hooks: ClassVar[bool] = False
    """Whether the hooks of other distributions that are installed are called in the tests, too."""

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """What the configuration says of the provider."""
        return {}

    @pytest.fixture
    def other_options(self) -> Mapping[str, Any] | None:
        """What the configuration says of a second account; None: there is none."""
        return None

    @pytest.fixture
    def engine(self) -> Any:
        """Faults of the service, as far as there are any.

        ``down()``, ``refused()``, ``without(name)``, ``offline(name)``, ``submit_elsewhere(name)``: see
        docs/how-to/test-your-plugin.md.
        """
        return None

    @pytest.fixture
    def samples(self) -> Sequence[Samples] | None:
        """Work for its backends; None: commands and calls, where they take them."""
        return None

    @pytest.fixture
    def harness(
        self,
        options: Mapping[str, Any],
        other_options: Mapping[str, Any] | None,
        engine: Any,
        samples: Any,
        tmp_path: Path,
    ) -> Iterator[ProviderHarness]:
        """The provider in a session of its own."""
        name = self.provider_type or (self.provider_class or type(self)).__name__.lower()
        cls = None if self.provider_type else self.provider_class
        accounts = {} if other_options is None else {OTHER: {"type": name, **other_options}}
        state = tmp_path / "state"
        factory = SessionFactory(name, cls, options, state, "providers", accounts, self.foreign_hooks)
        harness = ProviderHarness(factory, samples, self.timeout, engine)
        yield harness
        harness.close()
        if factory.state.exists():
            end_leftovers(factory.state)
