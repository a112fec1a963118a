"""No cancel is lost, whenever it comes: Ray itself loses one now and then."""

from __future__ import annotations

import _thread
import pickle
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyjob_ray.actors.job_events import KEPT_CANCELS, JobEvents
from anyjob_ray.backend import RayBackend
from anyjob_ray.tasks.batch_submitter import BatchSubmitter, SubmittedBatch
from anyjob_ray.tasks.cancellation import Canceller
from anyjob_ray.tasks.launch_queue import LaunchQueue
from anyjob_ray.tasks.task import Task
from anyjob_ray.worker.batch import Batch
from anyjob_ray.worker.job import Job
from anyjob_ray.worker.job_runner import JobRunner
from anyjob_ray.worker.journal import Journal

from anyjob import Call
from anyjob.job import JobStatus

PATIENCE = 30.0
AT_ONCE = 4
MOMENTS = 75
STEP = 0.0001
"""Seconds between two moments: the last is after a task has begun for sure."""


@pytest.mark.engine("ray")
def test_no_cancel_is_lost_at_whatever_moment_of_a_start_it_comes(backend: RayBackend) -> None:
    """qiskit-jku-provider#26, qiskit#638: cancel did nothing, or did not say."""
    for number in range(MOMENTS):
        jobs = backend.map(time.sleep, [300] * AT_ONCE)
        time.sleep(number * STEP)
        assert backend.cancel_many(jobs) == [True] * AT_ONCE
        assert {job.outcome(PATIENCE).status for job in jobs} == {JobStatus.CANCELLED}


@pytest.mark.engine("ray")
def test_a_cancel_that_ray_loses_is_sent_again(
    make: Callable[..., RayBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It loses those that come just as it hands the task to a worker."""
    import ray

    sent: list[Any] = []

    def cancel(ref: Any, **options: bool) -> None:
        sent.append(ref)
        if len(sent) > 1:
            really(ref, **options)

    really = ray.cancel
    monkeypatch.setattr(ray, "cancel", cancel)
    job = make().run(Call(time.sleep, (300,)))
    assert job.cancel()
    assert job.outcome(PATIENCE).status is JobStatus.CANCELLED
    assert len(sent) == 2


def test_cancels_one_by_one_do_not_have_a_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    sent: queue.SimpleQueue[int] = queue.SimpleQueue()
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cancel", lambda ref, **options: sent.put(ref))
    submitter = BatchSubmitter(lambda *_: None, lambda *_: None, lambda _: True)
    launch_queue = LaunchQueue({}, 1.0)
    for number in range(50):
        batch = SubmittedBatch(f"batch {number}", [(str(number), b"", [])], launch_queue, number)
        submitter._batch_by_job[str(number)] = batch
    canceller = Canceller(submitter, lambda *_: None, lambda _: None)
    before = set(threading.enumerate())
    for number in range(50):
        canceller.cancel([Task(str(number), None)])
    assert len(set(threading.enumerate()) - before) == 1
    assert [sent.get(timeout=PATIENCE) for _ in range(50)] == list(range(50))


class CountedId(str):
    """The id of a job, of which it is counted how often it is looked up."""

    __slots__ = ()
    looked_up = 0

    def __hash__(self) -> int:
        CountedId.looked_up += 1
        return super().__hash__()


async def test_the_event_actor_looks_up_what_it_is_asked_about_alone() -> None:
    events = JobEvents()
    await events.announce_cancels([CountedId(number) for number in range(1000)])
    CountedId.looked_up = 0
    assert await events.cancelled_among([CountedId("7"), CountedId("x")]) == ["7"]
    assert CountedId.looked_up == 2


async def test_the_event_actor_remembers_the_latest_cancels() -> None:
    events = JobEvents()
    await events.announce_cancels(["first", "second"])
    await events.announce_cancels([str(number) for number in range(KEPT_CANCELS - 1)])
    assert await events.cancelled_among(["first", "second", "0"]) == ["second", "0"]


# --- in a worker ----------------------------------------------------------------------------------


@pytest.fixture
def runner() -> Iterator[JobRunner]:
    """What runs the jobs of a worker process, in this one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield JobRunner()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # its thread lives on, and may be about to send one


class CancelledAtStart(dict[str, str]):
    """The environment of a job that is cancelled while its environment is made."""

    def __getitem__(self, key: str) -> str:
        _thread.interrupt_main()  # what Ray does
        return super().__getitem__(key)


class CancelledAtEnd:
    """A value while whose pickling the job is cancelled."""

    def __reduce__(self) -> tuple[type[CancelledAtEnd], tuple[()]]:
        _thread.interrupt_main()
        return CancelledAtEnd, ()


ran: list[str] = []


def runs(what: str) -> None:
    ran.append(what)


def came_of(
    runner: JobRunner, function: Callable[..., Any], *args: Any, **environment: str
) -> dict[str, Any]:
    """Run a job in this process, and return what came of it."""
    given = CancelledAtStart(environment)
    outcome: dict[str, Any] = pickle.loads(runner.run(Job(payload(given, function, *args), ())))
    return outcome


def payload(environment: dict[str, str], function: Callable[..., Any], *args: Any) -> tuple[Any, ...]:
    """What a worker is told of a job."""
    work = pickle.dumps(function), pickle.dumps((args, {}))
    context = pickle.dumps(([], "nowhere", "nobody", True, 10.0))
    return "a job", "python", work, environment, None, None, context, [], []


def test_a_call_that_is_cancelled_before_it_begins_is_not_made(runner: JobRunner) -> None:
    assert came_of(runner, runs, "it ran", NAME="value")["status"] == "CANCELLED"
    assert not ran
    assert came_of(runner, abs, -1)["status"] == "DONE", "the cancel was taken for one of the next job"


def test_a_cancel_that_comes_when_a_call_has_ended_leaves_what_came_of_it(runner: JobRunner) -> None:
    assert came_of(runner, CancelledAtEnd)["status"] == "DONE"
    assert came_of(runner, abs, -1)["status"] == "DONE", "the cancel was taken for one of the next job"


def interrupted() -> None:
    _thread.interrupt_main()
    time.sleep(0)


def test_an_interrupt_that_comes_when_a_batch_has_ended_has_ray_drop_nothing(
    runner: JobRunner, tmp_path: Path
) -> None:
    journal = Journal(str(tmp_path / "journal"))
    call = pickle.dumps(payload({}, abs, -1))
    runner.run_batch(Batch("a batch", [("a job", call), ("another", call)], journal))
    interrupted()
    runner._state.last_batch_task = "another than the one that runs"
    with pytest.raises(KeyboardInterrupt):
        interrupted()
