"""The backend over PSI/J's executors, on a real Slurm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.wrapped_programs import WrappedPrograms

from anyjob import Command, JobStatus, TaskBackend
from anyjob.testing import PluginConformance, TaskBackendConformance


class TestPsijConforms(TaskBackendConformance):
    backend_type = "psij"
    bulk = 20
    bulk_reason = "each job is a submission of its own, which takes Slurm a tenth of a second"

    @pytest.fixture
    def engine(self, tmp_path: Path, cluster: None) -> WrappedPrograms:
        away = "Unable to contact slurm controller"
        return WrappedPrograms(tmp_path / "programs", ("sbatch", "squeue", "scancel"), away)

    @pytest.fixture
    def options(self, tmp_path: Path, engine: WrappedPrograms) -> Mapping[str, Any]:
        return {
            "executor": "slurm",
            "spool": str(tmp_path / "spool"),
            "programs": str(engine.path),
            "patience": 5.0,
        }


def test_a_job_that_waits_is_found_without_a_name_and_cancelled(
    anyjob_backend: Callable[..., TaskBackend], cluster: None, tmp_path: Path
) -> None:
    backend = anyjob_backend("psij", executor="slurm", spool=str(tmp_path / "spool"), patience=1.0)
    options = {"psij": {"attributes": {"slurm.begin": "now+1hour"}}}
    job = backend.run(Command(["true"]), options=options)
    try:
        assert backend.find([job.job_id()]) == {job.job_id(): job.native_id()}
    finally:
        assert job.cancel()
    assert job.outcome(60).status is JobStatus.CANCELLED


class TestPsijPluginConforms(PluginConformance):
    distribution = "anyjob-psij"
