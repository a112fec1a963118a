"""Backends on a cluster: a real one where ``ANYJOB_REAL_PBS`` is set, a simulated one elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pbs_lab
import pytest
from anyjob_pbs.backend import PBSBackend
from support.simulated_scheduler import install

Make = Callable[..., PBSBackend]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    """A cluster that answers; returns where its jobs are, if it is simulated."""
    if os.environ.get("ANYJOB_REAL_PBS"):
        return None
    words = Path(pbs_lab.__file__).with_name("simulated_pbs.py")
    install(tmp_path / "pbs", ("qsub", "qstat", "qdel"), words, tmp_path / "jobs")
    monkeypatch.setenv("PATH", f"{tmp_path / 'pbs'}:{os.environ['PATH']}")
    return tmp_path / "jobs"


@pytest.fixture
def programs(cluster: Path | None, tmp_path: Path) -> pbs_lab.Programs:
    """The programs of PBS, with their calls counted, and with faults to set."""
    return pbs_lab.Programs(tmp_path / "programs")


@pytest.fixture
def make(anyjob_backend: Make, cluster: Path | None, tmp_path: Path) -> Iterator[Make]:
    """Gives backends on the cluster, with these options; jobs that are left are cancelled."""
    made: list[PBSBackend] = []

    def make_backend(**options: Any) -> PBSBackend:
        made.append(anyjob_backend("pbs", **{"spool": str(tmp_path / "spool"), "patience": 5.0, **options}))
        return made[-1]

    yield make_backend
    for backend in made:
        backend.cancel_many(backend.jobs())
