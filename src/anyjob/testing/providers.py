"""The kit's class for providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from anyjob.testing.checks.plugin.listing import Listing
from anyjob.testing.checks.plugin.providers import Providers
from anyjob.testing.conformance import Conformance
from anyjob.testing.environment.leftover_processes import end_leftovers
from anyjob.testing.harness.provider import ProviderHarness
from anyjob.testing.harness.samples import Samples
from anyjob.testing.harness.session_factory import SessionFactory


class ProviderConformance(Providers, Listing, Conformance):
    """What every `BaseProvider` promises.

    ::

        class TestAcmeAccountConforms(ProviderConformance):
            provider_type = "acme"

            @pytest.fixture
            def options(self, server):
                return {"url": server.url}
    """

    provider_type: ClassVar[str] = ""
    """The type as installed; where it is empty, that of ``provider_class``."""
    provider_class: ClassVar[type[Any] | None] = None
    """The class, where it is not installed under a name."""
    timeout: ClassVar[float] = 30.0
    """Seconds after which something that should happen has not."""

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """What the configuration says of the provider."""
        return {}

    @pytest.fixture
    def samples(self) -> Sequence[Samples] | None:
        """Work for its backends; None: commands and calls, where they take them."""
        return None

    @pytest.fixture
    def harness(self, options: Mapping[str, Any], samples: Any, tmp_path: Path) -> Iterator[ProviderHarness]:
        """The provider in a session of its own."""
        name = self.provider_type or (self.provider_class or type(self)).__name__.lower()
        cls = None if self.provider_type else self.provider_class
        factory = SessionFactory(name, cls, options, tmp_path / "state", "providers")
        harness = ProviderHarness(factory, samples, self.timeout)
        yield harness
        harness.close()
        if factory.state.exists():
            end_leftovers(factory.state)
