"""Backends on a instance: a real one where ``ANYJOB_REAL_FLUX`` is set, a simulated one elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flux_lab
import pytest
from anyjob_flux.backend import FluxBackend
from support.simulated_scheduler import install

Make = Callable[..., FluxBackend]


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path | None:
    """A instance that answers; returns where its jobs are, if it is simulated."""
    if os.environ.get("ANYJOB_REAL_FLUX"):
        return None
    words = Path(flux_lab.__file__).with_name("simulated_flux.py")
    install(tmp_path / "flux", ("flux",), words, tmp_path / "jobs")
    monkeypatch.setenv("PATH", f"{tmp_path / 'flux'}:{os.environ['PATH']}")
    return tmp_path / "jobs"


@pytest.fixture
def programs(instance: Path | None, tmp_path: Path) -> flux_lab.Programs:
    """The program of Flux, with their calls counted, and with faults to set."""
    return flux_lab.Programs(tmp_path / "programs")


@pytest.fixture
def make(anyjob_backend: Make, instance: Path | None, tmp_path: Path) -> Iterator[Make]:
    """Gives backends on the instance, with these options; jobs that are left are cancelled."""
    made: list[FluxBackend] = []

    def make_backend(**options: Any) -> FluxBackend:
        made.append(anyjob_backend("flux", **{"spool": str(tmp_path / "spool"), "patience": 5.0, **options}))
        return made[-1]

    yield make_backend
    for backend in made:
        backend.cancel_many(backend.jobs())
