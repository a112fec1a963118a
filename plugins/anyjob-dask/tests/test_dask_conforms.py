"""The conformance kit: on the cluster that a backend starts, and on somebody else's scheduler and worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dask_lab
import pytest
from anyjob_dask.client.cluster import Cluster

from anyjob.testing import PluginConformance, TaskBackendConformance


class TestLocalClusterConforms(TaskBackendConformance):
    backend_type = "dask"

    @pytest.fixture
    def options(self, local_cluster: Cluster) -> Mapping[str, Any]:
        return {"address": local_cluster.address, "durable": False, "shared_files": True}


class TestSchedulerConforms(TaskBackendConformance):
    backend_type = "dask"

    @pytest.fixture
    def engine(self, lab: dask_lab.Lab) -> Iterator[dask_lab.Faults]:
        faults = dask_lab.Faults(lab.address)
        yield faults
        faults.close()

    @pytest.fixture
    def options(self, engine: dask_lab.Faults) -> Mapping[str, Any]:
        return {"address": engine.address, "shared_files": True, "timeout": 1.5}


class TestThreadsConform(TaskBackendConformance):
    backend_type = "dask"

    @pytest.fixture
    def options(self, local_cluster: Cluster) -> Mapping[str, Any]:
        return {"address": local_cluster.address, "durable": False, "isolation": "thread"}


class TestDaskPluginConforms(PluginConformance):
    distribution = "anyjob-dask"
