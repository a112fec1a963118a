"""The kit's class for whole distributions."""

from __future__ import annotations

from typing import ClassVar

import pytest

from anyjob.testing.checks.distribution import Distribution
from anyjob.testing.installed import Installed
from anyjob.testing.kit import Conformance


class PluginConformance(Distribution, Conformance):
    """What a distribution with plugins promises: what `anyjob plugins check` looks at, as tests.

    ::

        class TestAcme(PluginConformance):
            distribution = "anyjob-acme"
    """

    distribution: ClassVar[str]
    """The name of the distribution, as pip takes it; it must be installed, in editable mode perhaps."""
    patience: ClassVar[float] = 30.0
    """Seconds for the import of each of its entry points."""

    @pytest.fixture
    def plugin(self) -> Installed:
        """The distribution, looked at once for all tests."""
        cls = type(self)
        if "_plugin" not in vars(cls):
            cls._plugin = Installed(cls.distribution, cls.patience)
        return cls._plugin

    _plugin: ClassVar[Installed]
