"""Type ``batch`` on a real OAR, by what the documentation says of it: run by ``scripts/check-oar``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.oar import PAGE, Programs, said_of_oar

from anyjob import Command, JobStatus
from anyjob.testing import TaskBackendConformance

SKIPPED = "<!-- skip: needs OAR, and is run by scripts/check-oar -->\n"

pytestmark = pytest.mark.skipif(
    not os.environ.get("ANYJOB_REAL_OAR"), reason="needs an OAR: scripts/oar-up, then scripts/check-oar"
)


class TestOARConforms(TaskBackendConformance):
    backend_type = "batch"
    timeout = 120.0
    bulk = 50
    bulk_reason = "eight jobs run at a time, each of which OAR takes five seconds to start and to end"

    @pytest.fixture
    def programs(self, tmp_path: Path) -> Programs:
        return Programs(tmp_path / "programs")

    @pytest.fixture
    def options(self, tmp_path: Path, programs: Programs) -> Mapping[str, Any]:
        return {**said_of_oar(), "spool": str(tmp_path / "a spool's"), "programs": str(programs.path)}

    @pytest.fixture
    def engine(self, programs: Programs) -> Programs:
        return programs


def test_the_configuration_of_the_page_passes_the_live_checks(
    run_examples: Callable[..., None], tmp_path: Path
) -> None:
    copy = tmp_path / PAGE.name
    text = PAGE.read_text(encoding="utf-8").partition("## OAR\n")[2]
    copy.write_text(text.replace(SKIPPED, ""), encoding="utf-8")
    run_examples(copy)


def test_a_bulk_is_one_submission(anyjob_backend: Callable[..., Any], tmp_path: Path) -> None:
    programs = Programs(tmp_path / "programs")
    said = {**said_of_oar(), "spool": str(tmp_path / "spool"), "programs": str(programs.path)}
    jobs = anyjob_backend("batch", **said).map(pow, range(10), [2] * 10, cpus=2, walltime="2m")
    assert [job.result(timeout=300) for job in jobs] == [n**2 for n in range(10)]
    assert len(programs.calls("oarsub")) == 1
    assert len({job.native_id() for job in jobs}) == 10


def test_what_somebody_else_deletes_is_cancelled(anyjob_backend: Callable[..., Any], tmp_path: Path) -> None:
    backend = anyjob_backend("batch", **said_of_oar(), spool=str(tmp_path / "spool"))
    job = backend.run(Command(["sleep", "600"]))
    subprocess.run(["oardel", job.native_id()], check=True, capture_output=True)
    job.wait_for_final_state(timeout=120)
    assert job.status() is JobStatus.CANCELLED
