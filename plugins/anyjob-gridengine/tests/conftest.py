"""Backends on a real cluster, where there is one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gridengine_lab
import pytest
from anyjob_gridengine.backend import GridEngineBackend

Make = Callable[..., GridEngineBackend]


@pytest.fixture(scope="session")
def cluster() -> None:
    """A cluster that answers; without one the test is skipped, or fails where engines are required."""
    if not gridengine_lab.answers():
        why = "no `qstat` answers: scripts/gridengine-up starts a cluster (as root)"
        if os.environ.get("ANYJOB_REQUIRE_ENGINES"):
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture
def programs(cluster: None, tmp_path: Path) -> gridengine_lab.Programs:
    """Grid Engine's programs, with their calls counted, and with faults to set."""
    return gridengine_lab.Programs(tmp_path / "programs")


@pytest.fixture
def make(anyjob_backend: Make, cluster: None, tmp_path: Path) -> Iterator[Make]:
    """Gives backends on the cluster, with these options; jobs that are left are cancelled."""
    made: list[GridEngineBackend] = []

    def make_backend(**options: Any) -> GridEngineBackend:
        defaults = {"spool": str(tmp_path / "spool"), "patience": 5.0}
        made.append(anyjob_backend("gridengine", **{**defaults, **options}))
        return made[-1]

    yield make_backend
    for backend in made:
        backend.cancel_many(backend.jobs())


@pytest.fixture
def backend(make: Make) -> GridEngineBackend:
    """A backend on the cluster."""
    return make()
