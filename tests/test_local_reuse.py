"""The `local` backend with ``isolation = "reuse"``: the same promises, where calls share processes."""

from __future__ import annotations

import operator
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import zygote_calls as calls
from running_local import Local, running, until

import anyjob
from anyjob import Call, Command, JobStatus
from anyjob.errors import ConfigError


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    with running(tmp_path, isolation="reuse") as one:
        yield one


def marks_in(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_many_calls_are_made_by_as_many_processes_as_there_are_slots(local: Local) -> None:
    jobs = local.backend.run_many([Call(os.getpid)] * 100)
    anyjob.wait(jobs)
    assert 1 <= len({job.result() for job in jobs}) <= 2


def test_values_errors_and_output_come_back(local: Local) -> None:
    large, failed = local.backend.run_many(
        [Call(operator.mul, (b"x", 1 << 20)), Call(operator.truediv, (1, 0))]
    )
    said = local.backend.run(Call(print, ("out",)))
    assert large.result() == b"x" * (1 << 20)
    with pytest.raises(ZeroDivisionError):
        failed.result()
    assert said.result() is None
    assert list(said.logs()) == ["out\n"]
    assert said.outcome().peak_memory > 1_000_000
    assert said.outcome().cpu_time < 10


def test_commands_run_beside(local: Local) -> None:
    assert local.backend.run(Command(["sh", "-c", "exit 3"])).exception() is not None


def test_a_bad_isolation_is_named(tmp_path: Path) -> None:
    with Local(tmp_path, isolation="resue").session as session, pytest.raises(ConfigError, match="resue"):
        session.get_backend("local")


@pytest.mark.parametrize("cause", ["cancel", "walltime"])
def test_a_call_is_ended_and_others_are_not(local: Local, tmp_path: Path, cause: str) -> None:
    job = local.backend.run(
        Call(calls.mark, (str(tmp_path / "marks"), 600.0)), walltime=3 if cause == "walltime" else None
    )
    until(lambda: marks_in(tmp_path / "marks"), "it runs")
    other = local.backend.run(Call(time.sleep, (3,)))
    if cause == "cancel":
        job.cancel()
    assert job.exception() is not None
    outcome = job.outcome()
    assert (outcome.status, outcome.reason) in {(JobStatus.CANCELLED, None), (JobStatus.ERROR, "walltime")}
    assert other.result() is None


def test_a_dead_supervisor_costs_nothing(local: Local, tmp_path: Path) -> None:
    jobs = local.backend.run_many(
        [Call(calls.mark, (str(tmp_path / str(number)), 0.02)) for number in range(40)]
    )
    for number in (5, 15, 30):
        until(partial(marks_in, tmp_path / str(number)), "it has begun")
        local.kill("supervisor")
    anyjob.wait(jobs)
    for number, job in enumerate(jobs):
        assert marks_in(tmp_path / str(number)) == [str(job.result())]


def test_with_the_keeper_goes_what_runs(local: Local, tmp_path: Path) -> None:
    before = local.backend.run(Call(operator.add, (1, 2)))
    assert before.result() == 3
    jobs = local.backend.run_many(
        [Call(calls.mark, (str(tmp_path / str(number)), 2.0 * (number < 2))) for number in range(10)]
    )
    until(lambda: all(marks_in(tmp_path / str(number)) for number in range(2)), "two run")
    local.kill("keeper")
    anyjob.wait(jobs)
    assert [job.outcome().reason for job in jobs[:2]] == ["lost", "lost"]
    assert all(job.done() for job in jobs[2:])
    assert all(len(marks_in(tmp_path / str(number))) == 1 for number in range(10))
    assert before.result() == 3


def test_a_restartable_call_runs_again(local: Local, tmp_path: Path) -> None:
    job = local.backend.run(Call(calls.mark, (str(tmp_path / "marks"), 1.0)), restartable=True)
    until(lambda: marks_in(tmp_path / "marks"), "it runs")
    local.kill("keeper")
    job.result()
    assert job.outcome().attempt == 2
    assert len(marks_in(tmp_path / "marks")) == 2


def test_a_killed_worker_takes_its_call_alone(local: Local, tmp_path: Path) -> None:
    job = local.backend.run(Call(calls.die_once, (str(tmp_path / "marks"),)))
    assert job.exception() is not None
    assert (job.outcome().reason, job.outcome().signal) == ("signal", signal.SIGKILL)
    assert local.backend.run(Call(operator.add, (1, 2))).result() == 3


def test_all_reaches_the_disk_where_that_is_asked_for(tmp_path: Path) -> None:
    with running(tmp_path, isolation="reuse", durability="full") as local:
        jobs = local.backend.map(abs, range(20))
        anyjob.wait(jobs)
        assert [job.result() for job in jobs] == list(range(20))
