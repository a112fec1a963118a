"""The distribution keeps what anyjob asks of plugins."""

from __future__ import annotations

from anyjob.testing import PluginConformance


class TestOpenTelemetryConforms(PluginConformance):
    """The checks of the conformance kit."""

    distribution = "anyjob-opentelemetry"
