"""Sessions with directories of their own, on a real cluster where there is one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import slurm_lab
from anyjob_slurm.backend import SlurmBackend

from anyjob import Session

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
def opened(anyjob_open: Callable[..., Session], tmp_path: Path) -> Callable[..., Session]:
    """Gives sessions on one state directory, each as another process would have it."""
    common = {"type": "slurm", "spool": str(tmp_path / "spool"), "patience": 5.0}
    return lambda **options: anyjob_open({"backends": {"hpc": {**common, **options}}})


@pytest.fixture
def make(opened: Callable[..., Session], cluster: None) -> Iterator[Make]:
    """Gives backends on the cluster, with these options; jobs that are left are cancelled."""
    made: list[SlurmBackend] = []

    def make_backend(**options: Any) -> SlurmBackend:
        backend: SlurmBackend = opened(**options).get_backend("hpc")
        made.append(backend)
        return backend

    yield make_backend
    for backend in made:
        backend.cancel_many(backend.jobs())


@pytest.fixture
def backend(make: Make) -> SlurmBackend:
    """A backend on the cluster."""
    return make()
