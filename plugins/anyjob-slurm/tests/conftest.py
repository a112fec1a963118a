"""Backends on a real cluster, where there is one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import slurm_lab
from anyjob_slurm.backend import SlurmBackend

Make = Callable[..., SlurmBackend]


@pytest.fixture(scope="session")
def cluster() -> None:
    """A cluster that answers; without one the test is skipped, or fails where engines are required."""
    if not slurm_lab.answers():
        why = "no `sinfo` answers: scripts/slurm-up starts a cluster (as root)"
        if os.environ.get("ANYJOB_REQUIRE_ENGINES"):
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture
def programs(cluster: None, tmp_path: Path) -> slurm_lab.Programs:
    """Slurm's programs, with their calls counted, and with faults to set."""
    return slurm_lab.Programs(tmp_path / "programs")


@pytest.fixture
def make(anyjob_backend: Make, cluster: None, tmp_path: Path) -> Iterator[Make]:
    """Gives backends on the cluster, with these options; jobs that are left are cancelled."""
    made: list[SlurmBackend] = []

    def make_backend(**options: Any) -> SlurmBackend:
        defaults = {"spool": str(tmp_path / "spool"), "patience": 5.0}
        made.append(anyjob_backend("slurm", **{**defaults, **options}))
        return made[-1]

    yield make_backend
    for backend in made:
        backend.cancel_many(backend.jobs())


@pytest.fixture
def backend(make: Make) -> SlurmBackend:
    """A backend on the cluster."""
    return make()
