"""What Flux does that others do not, on a simulated instance, or a real one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from flux_lab import Programs
from support.waiting import wait_until

from anyjob import Command, JobRejectedError, JobStatus
from conftest import Make

PATIENCE = 60.0
PLUGIN = Path(__file__).resolve().parents[1]


def test_a_bulk_is_one_array_and_few_questions(make: Make, programs: Programs) -> None:
    jobs = make(programs=str(programs.path)).map(abs, range(-12, 0), name="sizes")
    assert [job.result(PATIENCE) for job in jobs] == list(range(12, 0, -1))
    assert len([call for call in programs.calls() if call.startswith("flux submit")]) == 1
    assert len(programs.calls()) < 20
    assert len({job.native_id() for job in jobs}) == 12


def test_a_lost_answer_is_made_good_for_each_of_an_array(make: Make, programs: Programs) -> None:
    """Each has an id of its own, and a name that tells which it is."""
    programs.lose_next_answer()
    jobs = make(programs=str(programs.path)).run_many([Command(["echo", str(n)]) for n in range(5)])
    assert {job.native_id() for job in jobs} == {None}
    assert [job.result(PATIENCE).stdout.text() for job in jobs] == [f"{n}\n" for n in range(5)]
    assert len({job.native_id() for job in jobs} - {None}) == 5


def test_what_was_taken_of_an_array_runs_and_the_rest_is_rejected(make: Make, programs: Programs) -> None:
    programs.next_submission(
        '"$REAL" "$@" | head -n 2\necho "[Errno 22] job submission is disabled: maint" >&2\nexit 1'
    )
    jobs = make(programs=str(programs.path)).run_many([Command(["echo", str(n)]) for n in range(4)])
    outcomes = [job.outcome(PATIENCE) for job in jobs]
    assert [outcome.reason for outcome in outcomes] == [None, None, "rejected", "rejected"]
    assert outcomes[3].message == "job submission is disabled: maint"


def test_what_is_refused_is_rejected_in_its_words(make: Make) -> None:
    with pytest.raises(JobRejectedError, match="'nope' is not a valid queue"):
        make(queue="nope").run(Command(["true"]))
    with pytest.raises(JobRejectedError, match="memory: Flux gives out none"):
        make().run(Command(["true"]), memory="1GiB")


def test_what_others_cancel_is_cancelled_whether_it_has_started_or_not(make: Make) -> None:
    waiting, running = make(urgency=0).run(Command(["true"])), make().run(Command(["sleep", "60"]))
    wait_until(lambda: running.status() is JobStatus.RUNNING)
    for job in (waiting, running):
        subprocess.run(["flux", "cancel", str(job.native_id())], check=True)
        assert job.outcome(PATIENCE).status is JobStatus.CANCELLED


@pytest.mark.skipif(bool(os.environ.get("ANYJOB_REAL_FLUX")), reason="it would be of that instance")
def test_the_readme_does_what_it_shows(instance: Path, run_examples: Callable[..., None]) -> None:
    run_examples(PLUGIN / "README.md")
