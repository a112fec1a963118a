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
from queue import Queue
from typing import Any

import pytest
from support.scripted_backends import FindingBackend, ScriptedJob
from support.waiting import wait_until

import anyjob
from anyjob import BaseJob, Call, JobStatus, JobTimeoutError, SpecError, aio
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


# --- callbacks -----------------------------------------------------------------------------------------


def test_a_callback_is_called_once_the_job_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    job = ScriptedJob(RUNNING, backend=FindingBackend())
    called: Queue[Any] = Queue()

    def raises(job: Any) -> None:
        called.put("raised")
        raise RuntimeError("of the callback")

    job.add_done_callback(raises)
    job.add_done_callback(called.put)
    assert called.empty()
    job.end()
    assert {called.get(timeout=LONG), called.get(timeout=LONG)} == {"raised", job}
    job.add_done_callback(called.put)  # it has ended before
    assert called.get(timeout=LONG) is job
    assert "of the callback" in caplog.text


def test_a_callback_of_a_job_that_cannot_be_asked_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    job = ScriptedJob(OSError("away for good"), backend=FindingBackend())
    called: Queue[Any] = Queue()
    job.add_done_callback(called.put)
    wait_until(lambda: "away for good" in caplog.text)
    assert called.empty()


@pytest.mark.parametrize("backend", ["inline", "threads", "processes"])
def test_a_callback_of_a_task_job_is_called_whatever_came_of_it(backend: str) -> None:
    called: Queue[Any] = Queue()
    place = anyjob.get_backend(backend)
    good, bad = place.run(Call(abs, (-1,))), place.run(Call(abs, ("text",)))
    good.add_done_callback(called.put)
    bad.add_done_callback(called.put)
    assert {called.get(timeout=LONG), called.get(timeout=LONG)} == {good, bad}


# --- resources of items and calls ------------------------------------------------------------------------


def test_names_tags_and_resources_may_differ_from_item_to_item() -> None:
    jobs = anyjob.get_backend("threads").map(
        abs,
        [-1, -2, -3],
        name=lambda index: f"fit-{index}",
        tags=[{"a": "x"}, {}, {"a": "x"}],
        cpus=[1, 2, 1],
    )
    assert [job.result(LONG) for job in jobs] == [1, 2, 3]
    assert [job.metadata()["name"] for job in jobs] == ["fit-0", "fit-1", "fit-2"]
    assert [job.metadata()["tags"] for job in jobs] == [{"a": "x"}, {}, {"a": "x"}]
    assert [job._record.resources.cpus for job in jobs] == [1, 2, 1]


def test_jobs_keep_their_order_where_some_have_the_same_resources() -> None:
    jobs = anyjob.get_backend("threads").map(abs, [-1, -2, -3, -4], cpus=lambda index: 1 + index % 2)
    assert [job.result(LONG) for job in jobs] == [1, 2, 3, 4]


def test_a_list_has_a_value_for_each_item() -> None:
    with pytest.raises(SpecError, match="name is a list of 2 for 3 items: give one for each"):
        anyjob.get_backend("threads").map(abs, [1, 2, 3], name=["a", "b"])


def test_a_call_of_an_executor_may_have_resources_of_its_own() -> None:
    with anyjob.Executor("threads", cpus=1, name="fit") as executor:
        big, small = executor.with_(cpus=4).submit(abs, -1), executor.submit(abs, -2)
        assert (big.result(LONG), small.result(LONG)) == (1, 2)
        assert big.job is not None
        assert small.job is not None
        assert big.job._record.resources.cpus == 4
        assert big.job._record.resources.name == small.job._record.resources.name == "fit"
        assert small.job._record.resources.cpus == 1
        other = executor.with_(name="late")
        with pytest.raises(SpecError, match="unknown resource 'cpu'"):
            executor.with_(cpu=4)
    with pytest.raises(RuntimeError, match="after shutdown"):
        other.submit(abs, -1)


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

    def status(self) -> Any:
        asyncio.run(_answer())
        return super().status()


async def _awaited(job: Any) -> Any:
    return await job


async def _waited(job: Any) -> Any:
    await aio.wait_for_final_state(job, LONG)
    return "DONE"


def test_a_status_may_run_an_event_loop() -> None:
    backend = FindingBackend()
    jobs: list[ScriptedJob] = [LoopJob(backend=backend), RunJob(RUNNING, DONE, backend=backend)]
    assert anyjob.wait(jobs, LONG).not_done == []
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
