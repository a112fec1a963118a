"""The kit's class for whole distributions."""

from __future__ import annotations

from typing import ClassVar

import pytest

from anyjob.testing.checks.plugin.distribution import Distribution
from anyjob.testing.conformance import Conformance
from anyjob.testing.harness.distribution import DistributionHarness


class PluginConformance(Distribution, Conformance):
    """What a distribution with plugins promises: what `anyjob plugins check` looks at, as tests.

    ::

        class TestAcme(PluginConformance):
            distribution = "anyjob-acme"
    """

    distribution: ClassVar[str]
    """The name of the distribution, as pip takes it; it must be installed, in editable mode perhaps."""
    timeout: ClassVar[float] = 30.0
    """Seconds for the import of each of its entry points."""

    @pytest.fixture
    def harness(self) -> DistributionHarness:
        """The distribution, looked at once for all tests."""
        cls = type(self)
        if "_harness" not in vars(cls):
            cls._harness = DistributionHarness(cls.distribution, cls.timeout)
        return cls._harness

    _harness: ClassVar[DistributionHarness]
