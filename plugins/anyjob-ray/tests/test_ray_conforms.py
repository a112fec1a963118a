"""The conformance kit, in both modes, against a real Ray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import ray_lab

from anyjob.testing import PluginConformance, TaskBackendConformance

NAMESPACE = "anyjob-conforms"


@pytest.mark.engine("ray")
class TestFastConforms(TaskBackendConformance):
    backend_type = "ray"
    sdk = ("ray",)

    @pytest.fixture
    def options(self, connected: ray_lab.Cluster) -> Mapping[str, Any]:
        return {"address": connected.address}


@pytest.mark.engine("ray")
class TestDurableConforms(TaskBackendConformance):
    backend_type = "ray"
    sdk = ("ray",)

    @pytest.fixture
    def options(self, connected: ray_lab.Cluster) -> Mapping[str, Any]:
        return {"address": connected.address, "mode": "durable", "namespace": NAMESPACE, "timeout": 2.0}

    @pytest.fixture
    def engine(self, connected: ray_lab.Cluster) -> ray_lab.OwnerFaults:
        return ray_lab.OwnerFaults(NAMESPACE)


class TestPluginConforms(PluginConformance):
    distribution = "anyjob-ray"
