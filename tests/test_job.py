"""`BaseJob`: statuses, predicates, and the wait."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from enum import Enum
from typing import Any

import pytest
from support.manual_clock import ManualClock
from support.scripted_backends import ScriptedJob

from anyjob.errors import BackendUnavailableError, InvalidStatusError, JobError, JobTimeoutError
from anyjob.job import JOB_FINAL_STATES, BaseJob, JobStatus, as_status, backoff

QUEUED, RUNNING, DONE = JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.DONE
CANCELLED, ERROR = JobStatus.CANCELLED, JobStatus.ERROR


class TheirStatus(Enum):
    DONE = 3
    WEIRD = "job has successfully run"


@pytest.fixture
def wait_clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """Time passes in sleeps only, and how long each was to last is written down."""
    clock = ManualClock()
    monkeypatch.setattr("anyjob.job.time", clock)
    monkeypatch.setattr("threading.Event", lambda: clock)
    return clock


# --- statuses -------------------------------------------------------------------------------------


def test_the_statuses_are_those_of_the_interface() -> None:
    assert {status.name: status.value for status in JobStatus} == {
        "INITIALIZING": "job is being initialized",
        "QUEUED": "job is queued",
        "VALIDATING": "job is being validated",
        "RUNNING": "job is actively running",
        "CANCELLED": "job has been cancelled",
        "DONE": "job has successfully run",
        "ERROR": "job incurred error",
    }
    assert JOB_FINAL_STATES == (DONE, CANCELLED, ERROR)


@pytest.mark.parametrize("answer", [DONE, "DONE", "job has successfully run", TheirStatus.DONE])
def test_what_means_a_status_is_taken_for_it(answer: object) -> None:
    job = ScriptedJob(answer)
    job.wait_for_final_state()
    assert job.done()
    assert as_status(answer) is DONE


async def _never_awaited() -> JobStatus:
    return DONE


async def _async_generator() -> AsyncIterator[JobStatus]:
    yield DONE


@pytest.mark.parametrize(
    "answer",
    ["FINISHED", "done", "", {"status": "DONE"}, None, 3, [], b"DONE", TheirStatus.WEIRD, JobStatus,
     _async_generator()],
)  # fmt: skip
def test_any_other_status_raises_and_is_not_waited_for(answer: object) -> None:
    """qiskit-ibm-runtime#2673: an unknown status was waited for for ever."""
    job = ScriptedJob(lambda: answer)
    with pytest.raises(
        InvalidStatusError, match=r"status\(\) of <ScriptedJob\('7'\).*none of INITIALIZING, "
    ):
        job.wait_for_final_state(timeout=60)
    assert job.asked == 1
    for predicate in (job.done, job.cancelled, job.running, job.in_final_state):
        with pytest.raises(InvalidStatusError):
            predicate()


def test_a_coroutine_for_a_status_raises_without_a_warning() -> None:
    """Warnings are errors here: "never awaited" would fail the test. qiskit-ibm-runtime#2673."""
    with pytest.raises(InvalidStatusError, match="async status"):
        ScriptedJob(_never_awaited).wait_for_final_state()


# --- the handle -----------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["submit", "result", "cancel", "status"])
def test_the_four_methods_are_abstract(missing: str) -> None:
    methods = {name: lambda self: None for name in ("submit", "result", "cancel", "status")}
    type("Whole", (BaseJob,), dict(methods))(None, "1")
    del methods[missing]
    with pytest.raises(TypeError, match=missing):
        type("Partial", (BaseJob,), dict(methods))(None, "1")


@pytest.mark.parametrize(
    ("status", "holds"),
    [
        (QUEUED, set()),
        (RUNNING, {"running"}),
        (DONE, {"done", "in_final_state"}),
        (CANCELLED, {"cancelled", "in_final_state"}),
        (ERROR, {"in_final_state"}),
    ],
)
def test_predicates_ask(status: JobStatus, holds: set[str]) -> None:
    """qiskit-ibm-runtime#1547: a predicate used a stale status."""
    for name in ("cancelled", "done", "running", "in_final_state"):
        job = ScriptedJob(JobStatus.INITIALIZING, status)
        assert getattr(job, name)() is False
        assert getattr(job, name)() is (name in holds)
        assert job.asked == 2


def test_a_constructor_that_never_calls_ours_and_sets_the_id_late() -> None:
    class Odd(ScriptedJob):
        def __init__(self, circuit: str, *, shots: int) -> None:
            self.answers, self.asked, self.askers = deque([QUEUED, DONE]), 0, set()

        def submit(self) -> None:
            self._job_id = 17

    job = Odd("qc", shots=3)
    assert (job.job_id(), job.backend()) == ("", None)
    assert "Odd" in repr(job)
    job.submit()
    assert job.job_id() == "17"
    seen = []
    job.wait_for_final_state(wait=0, callback=lambda job_id, status, _: seen.append((job_id, status)))
    assert seen == [("17", QUEUED), ("17", DONE)]


def test_plain_jobs_keep_their_identity() -> None:
    one, other = ScriptedJob(DONE), ScriptedJob(DONE)
    assert one.job_id() == other.job_id()
    assert one != other
    assert len({one, other}) == 2


def test_repr_says_which_job_of_which_backend() -> None:
    assert repr(ScriptedJob(DONE, backend="fez", job_id="c12")) == "<ScriptedJob('c12') on fez>"


# --- the wait -------------------------------------------------------------------------------------


def test_the_callback_is_called_after_each_query_the_last_one_too(wait_clock: ManualClock) -> None:
    """qiskit-ibm-runtime#2251, #523: the wait and its callback were taken away."""
    job = ScriptedJob(QUEUED, RUNNING, DONE)
    calls: list[tuple[Any, ...]] = []

    def callback(*args: Any) -> None:
        calls.append((*args, job.asked))

    assert job.wait_for_final_state(None, 2, callback) is None  # type: ignore[func-returns-value]
    assert calls == [("7", QUEUED, job, 1), ("7", RUNNING, job, 2), ("7", DONE, job, 3)]
    assert wait_clock.waits == [2, 2]


def test_the_wait_sleeps_five_seconds_by_default(wait_clock: ManualClock) -> None:
    ScriptedJob(QUEUED, DONE).wait_for_final_state()
    assert wait_clock.waits == [5]


def test_no_sleep_reaches_past_the_deadline(wait_clock: ManualClock) -> None:
    job = ScriptedJob(RUNNING)
    with pytest.raises(JobTimeoutError, match=r"'7' has not ended within 12 s \(still RUNNING\)"):
        job.wait_for_final_state(timeout=12, wait=5)
    assert wait_clock.waits == [5, 5, 2]
    assert job.asked == 4  # once more at the deadline itself


def test_a_job_that_ends_at_the_deadline_has_ended(wait_clock: ManualClock) -> None:
    ScriptedJob(RUNNING, DONE).wait_for_final_state(timeout=3, wait=5)
    assert wait_clock.waits == [3]


def test_a_timeout_of_nothing_asks_once(wait_clock: ManualClock) -> None:
    job, calls = ScriptedJob(RUNNING), []
    with pytest.raises(JobTimeoutError):
        job.wait_for_final_state(timeout=0, callback=lambda *args: calls.append(args))
    assert (job.asked, len(calls), wait_clock.waits) == (1, 1, [])


@pytest.mark.parametrize("timeout", [None, 0, 7.5])
@pytest.mark.parametrize("status", JOB_FINAL_STATES)
def test_a_job_that_is_final_is_asked_once(
    wait_clock: ManualClock, status: JobStatus, timeout: float | None
) -> None:
    job, calls = ScriptedJob(status), []
    job.wait_for_final_state(timeout, callback=lambda *args: calls.append(args))
    assert (job.asked, calls, wait_clock.waits) == (1, [("7", status, job)], [])


def test_the_timeout_is_a_job_error_and_a_builtin_timeout() -> None:
    for kind in (TimeoutError, JobError):
        with pytest.raises(kind):
            ScriptedJob(QUEUED).wait_for_final_state(timeout=0)


def test_what_the_status_raises_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        ScriptedJob(QUEUED, ZeroDivisionError()).wait_for_final_state(wait=0)


def test_what_the_callback_raises_passes_through() -> None:
    def callback(*args: Any) -> None:
        raise KeyError("mine")

    job = ScriptedJob(QUEUED)
    with pytest.raises(KeyError, match="mine"):
        job.wait_for_final_state(callback=callback)
    assert job.asked == 1


def test_a_backend_that_is_away_is_asked_again(wait_clock: ManualClock) -> None:
    """qiskit-aqt-provider#274, qiskit-aqua#752: a transient error while polling ended the wait."""
    away = BackendUnavailableError("gone fishing")
    job, calls = ScriptedJob(QUEUED, away, away, away, QUEUED, away, DONE), []
    job.wait_for_final_state(wait=0.5, callback=lambda _, status, __: calls.append(status))
    assert calls == [QUEUED, QUEUED, DONE]
    # It backs off, and begins anew when the backend has answered.
    assert wait_clock.waits == [0.5, 0.1, 0.2, 0.4, 0.5, 0.1]


def test_a_backend_that_stays_away_is_waited_for_until_the_timeout(wait_clock: ManualClock) -> None:
    job = ScriptedJob(BackendUnavailableError("gone fishing"))
    with pytest.raises(JobTimeoutError, match="backend unavailable") as caught:
        job.wait_for_final_state(timeout=10)
    assert isinstance(caught.value.__cause__, BackendUnavailableError)
    assert sum(wait or 0 for wait in wait_clock.waits) == pytest.approx(10)


def test_backoff_doubles_up_to_its_ceiling() -> None:
    assert [backoff(n, ceiling=1) for n in (1, 2, 3, 4, 5, 10**9)] == [0.1, 0.2, 0.4, 0.8, 1, 1]


def test_a_backend_that_notifies_wakes_the_wait_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    job = ScriptedJob(RUNNING)
    to_tell: list[Callable[[], None]] = []
    released: list[bool] = []

    def on_change(tell: Callable[[], None]) -> Callable[[], None]:
        to_tell.append(tell)
        return lambda: released.append(True)

    monkeypatch.setattr(job, "_on_change", on_change)

    def callback(job_id: str, status: JobStatus, job: ScriptedJob) -> None:
        job.answers = deque([DONE])
        to_tell[0]()  # between the question and the sleep: must not be missed

    job.wait_for_final_state(wait=3600, callback=callback)
    assert job.asked == 2
    assert released == [True]


def test_the_alarm_is_reset_before_each_question(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Alarm:
        def set(self) -> None: ...

        def clear(self) -> None:
            done.append("clear")

        def wait(self, timeout: float | None = None) -> bool:
            done.append("wait")
            return True

    def ask() -> JobStatus:
        done.append("ask")
        return DONE if len(done) > 4 else RUNNING

    job = ScriptedJob(ask)
    monkeypatch.setattr("threading.Event", Alarm)
    job.wait_for_final_state()
    assert done == ["clear", "ask", "wait", "clear", "ask"]


# --- await ----------------------------------------------------------------------------------------


async def test_await_gives_the_result_and_the_loop_goes_on() -> None:
    """qBraid#942, #1422, marqov-sdk#69: an async result blocked the event loop."""
    asked, go = threading.Event(), threading.Event()

    def blocks() -> JobStatus:
        asked.set()
        assert go.wait(20)
        return DONE

    job = ScriptedJob(blocks, DONE)
    waiting = asyncio.ensure_future(_result(job))
    while not asked.is_set():  # the loop turns, though status() blocks
        await asyncio.sleep(0)
    assert not waiting.done()
    go.set()
    assert await waiting == "result of 7"


async def _result(job: ScriptedJob) -> Any:
    return await job
