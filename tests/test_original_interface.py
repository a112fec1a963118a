"""What code in the manner of Qiskit's original provider interface does, beside what the interface says."""

from __future__ import annotations

import asyncio
import sys
import threading
import types
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import pytest
from support.scripted_backends import FindingBackend, ScriptedJob

import anyjob
from anyjob import BaseJob, JobStatus, JobTimeoutError, aio
from anyjob.status import JOB_FINAL_STATES
from anyjob.tracking import plain_polling

LONG = 30  # seconds: only ever waited for where something is broken
DONE, RUNNING = JobStatus.DONE, JobStatus.RUNNING


class Scalar:
    """A number as numpy's scalars are: no subclass of float."""

    def __float__(self) -> float:
        return 0.0


# --- numbers --------------------------------------------------------------------------------------


def _wait_for_final_state(job: Any, timeout: Any) -> None:
    job.wait_for_final_state(timeout)


def _as_completed(job: Any, timeout: Any) -> None:
    list(anyjob.as_completed([job], timeout))


def _aio_wait_for_final_state(job: Any, timeout: Any) -> None:
    asyncio.run(aio.wait_for_final_state(job, timeout))


def _aio_result(job: Any, timeout: Any) -> None:
    asyncio.run(aio.result(job, timeout))


WAITS = [_wait_for_final_state, _as_completed, _aio_wait_for_final_state, _aio_result]


@pytest.mark.parametrize("zero", [0, Decimal(0), Fraction(0), Scalar(), False])
@pytest.mark.parametrize("wait", WAITS)
def test_a_timeout_is_any_number(wait: Callable[..., None], zero: Any) -> None:
    with pytest.raises(JobTimeoutError):
        wait(ScriptedJob(RUNNING), zero)


@pytest.mark.parametrize("wait", WAITS)
def test_a_timeout_of_infinity_is_none(wait: Callable[..., None]) -> None:
    wait(ScriptedJob(DONE), float("inf"))
    wait(ScriptedJob(RUNNING, DONE) if wait is _as_completed else ScriptedJob(DONE), 1e300)


@pytest.mark.parametrize(
    ("wrong", "error"), [(float("nan"), ValueError), (Decimal("nan"), ValueError), ("5", TypeError)]
)
@pytest.mark.parametrize("wait", WAITS)
def test_what_is_no_number_is_refused(wait: Callable[..., None], wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="timeout is a number of seconds, not "):
        wait(ScriptedJob(DONE), wrong)


def test_the_interval_is_any_number() -> None:
    ScriptedJob(RUNNING, DONE).wait_for_final_state(wait=Fraction(1, 100))  # type: ignore[arg-type]
    with pytest.raises(JobTimeoutError):
        ScriptedJob(RUNNING).wait_for_final_state(0.01, wait=float("inf"))
    with pytest.raises(ValueError, match="wait is a number of seconds, not nan"):
        ScriptedJob(DONE).wait_for_final_state(wait=float("nan"))


# --- what is imported from Qiskit, and what from here -----------------------------------------------

_make_enum: Any = Enum
Theirs = _make_enum("JobStatus", {status.name: status.value for status in JobStatus})


def test_a_status_of_qiskit_is_equal_to_ours() -> None:
    seen: list[JobStatus] = []
    ScriptedJob(Theirs.RUNNING, Theirs.DONE).wait_for_final_state(
        wait=0, callback=lambda job_id, status, job: seen.append(status)
    )
    assert seen == [Theirs.RUNNING, Theirs.DONE]
    assert Theirs.DONE in JOB_FINAL_STATES
    assert DONE in (Theirs.CANCELLED, Theirs.DONE)
    assert {DONE: 1}[Theirs.DONE] == 1
    assert DONE != Theirs.ERROR
    assert DONE != "DONE"


def test_a_timeout_of_qiskit_beside_our_base_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("legacy_of_tests")
    module.JobTimeoutError = type("JobTimeoutError", (Exception,), {"__module__": "qiskit.providers"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "legacy_of_tests", module)
    with pytest.warns(
        UserWarning, match="JobTimeoutError from qiskit.providers, which no wait of Job raises"
    ):
        type("Job", (BaseJob,), {"__module__": "legacy_of_tests"})
    module.JobTimeoutError = JobTimeoutError  # type: ignore[attr-defined]
    type("Job", (BaseJob,), {"__module__": "legacy_of_tests"})


# --- a status that runs an event loop ----------------------------------------------------------------


async def _answer() -> JobStatus:
    await asyncio.sleep(0)
    return DONE


class LoopJob(ScriptedJob):
    def status(self) -> JobStatus:
        return asyncio.get_event_loop().run_until_complete(_answer())

    def result(self) -> Any:
        return self.status().name


class RunJob(ScriptedJob):
    """Its first question takes the thread's loop away, as ``asyncio.run`` does."""

    def status(self) -> JobStatus:
        asyncio.run(_answer())
        return super().status()  # type: ignore[no-any-return]


async def _awaited(job: Any) -> Any:
    return await job


async def _waited(job: Any) -> Any:
    await aio.wait_for_final_state(job, LONG)
    return "DONE"


def test_a_status_may_run_an_event_loop() -> None:
    backend = FindingBackend()
    assert (
        anyjob.wait([LoopJob(backend=backend), RunJob(RUNNING, DONE, backend=backend)], LONG).not_done == []
    )
    assert len(list(anyjob.as_completed([LoopJob(backend=backend), LoopJob(backend=backend)], LONG))) == 2
    assert asyncio.run(_awaited(LoopJob(backend=backend))) == "DONE"
    assert asyncio.run(_waited(LoopJob(backend=backend))) == "DONE"


# --- how often a job is asked --------------------------------------------------------------------------


def test_who_follows_a_job_that_is_waited_for_asks_no_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_polling, "FLOOR", 0.02)
    job = ScriptedJob(RUNNING, backend=FindingBackend())
    followed: list[JobStatus] = []
    first, ended = threading.Event(), threading.Event()

    def heard(status: JobStatus) -> None:
        followed.append(status)
        first.set()
        if status is DONE:
            ended.set()

    plain_polling.follow(job, heard)
    assert first.wait(LONG)
    waiting = threading.get_ident()
    turns: list[int] = []

    def callback(job_id: str, status: JobStatus, asked: Any) -> None:
        turns.append(job.asked)
        if len(turns) == 6:
            job.end()

    job.askers.clear()
    job.wait_for_final_state(LONG, wait=0.1, callback=callback)
    assert ended.wait(LONG)
    assert followed[-1] is DONE
    # Another thread may have been half way through a question when the wait began; it asks no second one.
    assert turns[-1] - turns[0] <= 6, f"asked {turns} times while {waiting} asked once a turn"
