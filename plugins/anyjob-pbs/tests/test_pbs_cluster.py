"""What PBS does that others do not, on a simulated cluster, or a real one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pbs_lab import Programs
from support.waiting import wait_until

from anyjob import Command, JobRejectedError, JobStatus
from conftest import Make

PATIENCE = 60.0
PLUGIN = Path(__file__).resolve().parents[1]


def test_a_bulk_is_one_array_and_few_questions(make: Make, programs: Programs) -> None:
    jobs = make(programs=str(programs.path)).map(abs, range(-12, 0), name="sizes")
    assert [job.result(PATIENCE) for job in jobs] == list(range(12, 0, -1))
    assert len(programs.calls("qsub")) == 1
    assert len(programs.calls()) < 20
    assert str(jobs[3].native_id()).partition(".")[0].endswith("[3]")


def test_what_is_refused_is_rejected_in_its_words(make: Make) -> None:
    with pytest.raises(JobRejectedError, match="Unknown queue"):
        make(queue="nope").run(Command(["true"]))


def test_what_others_delete_is_cancelled_whether_it_has_started_or_not(make: Make) -> None:
    waiting, running = make(extra=["-a", "2359"]).run(Command(["true"])), make().run(Command(["sleep", "60"]))
    wait_until(lambda: running.status() is JobStatus.RUNNING)
    for job in (waiting, running):
        subprocess.run(["qdel", str(job.native_id())], check=True)
        assert job.outcome(PATIENCE).status is JobStatus.CANCELLED


@pytest.mark.skipif(bool(os.environ.get("ANYJOB_REAL_PBS")), reason="it would be of that cluster")
def test_the_readme_does_what_it_shows(cluster: Path, run_examples: Callable[..., None]) -> None:
    run_examples(PLUGIN / "README.md")
