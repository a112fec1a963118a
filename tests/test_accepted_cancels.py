"""A cancel that was accepted is not forgotten, whoever dies before the job has ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_local import Local, running, until

from anyjob import Command, JobStatus


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Local]:
    with running(tmp_path, grace=1000.0) as local:
        yield local


def kill(own: Local, *who: str) -> None:
    """Kill them all; none of them sees another one die, and acts on that."""
    pids = [getattr(own, each) for each in who]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not {own.supervisor, own.keeper} & set(pids), "they are dead")


@pytest.mark.parametrize("who", [("keeper",), ("keeper", "supervisor")])
@pytest.mark.parametrize("restartable", [True, False])
def test_a_job_that_is_being_cancelled_is_not_run_again(
    own: Local, tmp_path: Path, who: tuple[str, ...], restartable: bool
) -> None:
    """It takes its time to end when it is told to, and those who told it die."""
    started = tmp_path / "started"
    script = f"trap '' TERM; echo run >> {started}; while :; do sleep 1000; done"
    job = own.backend.run(Command(["sh", "-c", script]), restartable=restartable)
    until(started.exists, "it runs")
    assert job.cancel()
    kill(own, *who)
    assert job.outcome(60).status is JobStatus.CANCELLED
    assert started.read_text() == "run\n"
    assert job.outcome().attempt == 1


def test_a_keeper_that_has_not_heard_of_a_cancel_is_told_by_the_next_supervisor(
    own: Local, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    job = own.backend.run(Command(["sh", "-c", f"echo run > {started}; exec sleep 1000"]))
    until(started.exists, "it runs")
    # What an accepted cancel has written, by a supervisor that died before the keeper was told.
    own.session.ledger.cancel_accepted([job.job_id()])
    own.kill("supervisor")
    assert job.outcome(60).status is JobStatus.CANCELLED


def test_one_that_waited_with_the_keeper_does_not_begin(own: Local, tmp_path: Path) -> None:
    """It waits there for a slot, and the keeper forgets it with the supervisor that has sent it."""
    gate = own.backend.run(Command(["sleep", "1000"]), cpus=2)
    until(gate.running, "it runs")
    job = own.backend.run(Command(["touch", str(tmp_path / "begun")]))
    own.session.ledger.cancel_accepted([job.job_id()])
    own.kill("supervisor")
    assert job.outcome(60).status is JobStatus.CANCELLED
    gate.cancel()
    assert gate.outcome(60).status is JobStatus.CANCELLED
    assert not (tmp_path / "begun").exists()
