"""``wait`` and ``as_completed`` over any mix of backends and of plain jobs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.scripted_backends import FindingBackend, ScriptedJob, UniformEngine, make

from anyjob import (
    BackendAuthError,
    BackendUnavailableError,
    Call,
    InvalidStatusError,
    JobStatus,
    JobTimeoutError,
    as_completed,
    wait,
)
from anyjob.builtin.inline import InlineBackend
from anyjob.builtin.processes import ProcessesBackend
from anyjob.builtin.threads import ThreadsBackend
from anyjob.tracking import plain_polling

DONE, RUNNING = JobStatus.DONE, JobStatus.RUNNING
LONG = 30  # seconds: only ever waited for where something is broken


@pytest.fixture
def pools() -> Iterator[list[Any]]:
    backends = [make(InlineBackend), make(ThreadsBackend, slots=2), make(ProcessesBackend, slots=1)]
    yield backends
    for backend in backends:
        backend.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Set at the end, so that nothing is left that waits for it."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def threads_backend() -> Iterator[Any]:
    backend = make(ThreadsBackend, slots=2)
    yield backend
    backend.close()


def mixed(pools: list[Any]) -> list[Any]:
    return [
        *(backend.run(Call(abs, (-n,))) for n, backend in enumerate(pools)),
        ScriptedJob(JobStatus.QUEUED, RUNNING, DONE),
        FindingBackend().run(answers=[RUNNING, JobStatus.ERROR]),
        ScriptedJob("CANCELLED", backend=FindingBackend()),
    ]


def test_wait_for_a_mix(pools: list[Any]) -> None:
    jobs = mixed(pools)
    done, not_done = wait(jobs, timeout=LONG)
    assert done == jobs
    assert not_done == []


def test_as_completed_over_a_mix(pools: list[Any]) -> None:
    jobs = mixed(pools)
    assert {id(job) for job in as_completed(jobs, timeout=LONG)} == {id(job) for job in jobs}


def test_as_completed_yields_in_the_order_of_the_ends(threads_backend: Any, gate: threading.Event) -> None:
    late = threads_backend.run(Call(gate.wait, (LONG,)))
    early = ScriptedJob(RUNNING, DONE)
    ends = as_completed([late, early], timeout=LONG)
    assert next(ends) is early
    gate.set()
    assert list(ends) == [late]


def test_what_has_not_ended_in_time(threads_backend: Any, gate: threading.Event) -> None:
    jobs = [
        threads_backend.run(Call(abs, (1,))),
        threads_backend.run(Call(gate.wait, (LONG,))),
        ScriptedJob(),
        ScriptedJob(DONE),
    ]
    done, not_done = wait(jobs, timeout=0.3)
    assert done == [jobs[0], jobs[3]]
    assert not_done == [jobs[1], jobs[2]]
    ends = as_completed(jobs, timeout=0.3)
    assert {next(ends), next(ends)} == {jobs[0], jobs[3]}
    with pytest.raises(JobTimeoutError, match=r"2 of 4 jobs have not ended within 0\.3 s"):
        next(ends)


def test_timeout_zero_asks_each_once(threads_backend: Any, gate: threading.Event) -> None:
    ended = ScriptedJob(DONE)
    running = ScriptedJob(RUNNING, DONE)
    unreachable = ScriptedJob(BackendUnavailableError("down"), DONE)
    held = threads_backend.run(Call(gate.wait, (LONG,)))
    assert wait([running, ended, held, unreachable], timeout=0) == ([ended], [running, held, unreachable])
    assert (ended.asked, running.asked, unreachable.asked) == (1, 1, 1)


def test_timeout_zero_asks_an_engine_in_bulk() -> None:
    engine = UniformEngine()
    engine.floor = 20  # type: ignore[misc]
    jobs = engine.run_many([Call(abs, (n,)) for n in range(100)])
    engine.notify([job.job_id() for job in jobs])  # else it would be too soon to ask
    engine.status_of_all = DONE
    assert list(as_completed(jobs, timeout=0)) == jobs
    assert [count for _, count in engine.questions] == [100]


def test_as_completed_timeout_zero_says_how_many_are_left() -> None:
    jobs = [ScriptedJob(DONE), ScriptedJob()]
    ends = as_completed(jobs, timeout=0)
    assert next(ends) is jobs[0]
    with pytest.raises(JobTimeoutError, match="1 of 2"):
        next(ends)


def test_first_completed(threads_backend: Any, gate: threading.Event) -> None:
    jobs = [threads_backend.run(Call(gate.wait, (LONG,))), ScriptedJob(RUNNING, DONE), ScriptedJob()]
    assert wait(jobs, LONG, "FIRST_COMPLETED") == ([jobs[1]], [jobs[0], jobs[2]])


def test_return_when_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="'ALL_COMPLETED' or 'FIRST_COMPLETED', not 'SOME'"):
        wait([], return_when="SOME")


def test_a_job_given_twice_counts_once(pools: list[Any]) -> None:
    job, plain = pools[1].run(Call(abs, (1,))), ScriptedJob(DONE)
    assert wait([job, plain, job, plain], LONG) == ([job, plain], [])
    assert len(list(as_completed([plain, job, plain, job], LONG))) == 2


def test_jobs_that_ended_long_ago(pools: list[Any]) -> None:
    jobs = [*(backend.run(Call(abs, (1,))) for backend in pools), ScriptedJob(DONE)]
    wait(jobs, LONG)
    assert wait(jobs, LONG).done == jobs
    assert len(list(as_completed(jobs, LONG))) == len(jobs)


def test_nothing_to_wait_for() -> None:
    assert wait([]) == ([], [])
    assert list(as_completed([])) == []


def test_plain_backend_that_is_unavailable_is_asked_again() -> None:
    """qiskit-aqt-provider#274: a transient error while polling ended the wait."""
    job = ScriptedJob(BackendUnavailableError("a"), BackendUnavailableError("b"), RUNNING, DONE)
    assert wait([job], LONG).done == [job]
    assert job.asked == 4


def test_engine_that_is_unavailable_is_asked_again() -> None:
    """qiskit-aqua#752: a transient error while polling ended the wait."""
    engine = UniformEngine()
    job = engine.run(Call(abs, (1,)))
    engine.trouble.extend([BackendUnavailableError("a"), BackendUnavailableError("b")])
    engine.status_of_all = DONE
    assert list(as_completed([job], LONG)) == [job]
    assert len(engine.questions) == 3


def test_an_outage_lasts_no_longer_than_the_wait() -> None:
    job = ScriptedJob(BackendUnavailableError("down"))
    assert wait([job], 0.2) == ([], [job])
    with pytest.raises(JobTimeoutError):
        list(as_completed([job], 0.2))


@pytest.mark.parametrize("error", [KeyError("x"), BackendAuthError("no"), SystemExit(3)])
def test_what_asking_raises_passes_through(error: BaseException) -> None:
    job = ScriptedJob(RUNNING, error)
    with pytest.raises(type(error)):
        wait([ScriptedJob(), job], LONG)
    with pytest.raises(type(error)):
        list(as_completed([ScriptedJob(), job], LONG))


@pytest.mark.parametrize("error", [KeyError("x"), BackendAuthError("no"), SystemExit(3)])
def test_what_asking_an_engine_raises_passes_through(error: BaseException) -> None:
    engine = UniformEngine()
    job = engine.run(Call(abs, (1,)))
    for _ in range(2):  # and its watcher lives on
        engine.trouble.append(error)
        with pytest.raises(type(error)):
            wait([job], LONG)
    engine.status_of_all = DONE
    assert wait([job], LONG).done == [job]


@pytest.mark.parametrize("answer", ["no such status", {"status": "DONE"}, None])
def test_unknown_status_is_no_endless_wait(answer: object) -> None:
    """qiskit-ibm-runtime#2673: an unknown status was waited for ever."""
    with pytest.raises(InvalidStatusError):
        wait([ScriptedJob(answer)], LONG)


def test_jobs_of_one_backend_are_asked_by_one_thread() -> None:
    backend = FindingBackend()
    jobs = [backend.run(answers=[RUNNING, RUNNING, DONE]) for _ in range(50)]
    wait(jobs, LONG)
    assert len(set.union(*(job.askers for job in jobs))) == 1


def test_a_backend_that_hangs_does_not_hold_up_the_others(gate: threading.Event) -> None:
    class Hangs(ScriptedJob):
        def status(self) -> JobStatus:
            gate.wait(LONG)
            return DONE

    hangs, plain = Hangs(FindingBackend()), ScriptedJob(RUNNING, DONE, backend=FindingBackend())
    assert wait([hangs, plain], LONG, "FIRST_COMPLETED").done == [plain]


def test_a_job_is_asked_once_for_all_who_wait() -> None:
    job = ScriptedJob()
    ended: list[Any] = []
    plain_polling.poll(job, ended.append)
    for _ in range(3):
        plain_polling.poll(job, ended.append)
    job.end()
    wait([job], LONG)
    assert ended == [DONE] * 4
    assert len(job.askers) == 1


def test_who_begins_to_wait_is_served_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_polling, "FLOOR", 3600.0)
    monkeypatch.setattr(plain_polling, "CEILING", 3600.0)
    job = ScriptedJob()
    seen = threading.Event()
    plain_polling.follow(job, lambda status: seen.set())
    assert seen.wait(LONG)
    job.end()
    assert wait([job], LONG).done == [job]


def test_nobody_is_asked_when_nobody_waits() -> None:
    job, before = ScriptedJob(), threading.enumerate()
    forget = plain_polling.poll(job, lambda said: None)
    (poller,) = [thread for thread in threading.enumerate() if thread not in before]
    assert poller.name == "anyjob-poll-ScriptedJob"
    forget()
    forget()  # to take it back twice is no harm
    poller.join(LONG)
    assert not poller.is_alive()
    assert wait([ScriptedJob(DONE)], LONG).done  # the next who waits starts another


def test_a_callback_that_raises_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    def bad(said: object) -> None:
        raise ZeroDivisionError("division by zero")

    job = ScriptedJob()
    plain_polling.poll(job, bad)
    job.end()
    with caplog.at_level(logging.ERROR, "anyjob"):
        assert wait([job], LONG).done == [job]
    assert "division by zero" in caplog.text


FORK = """
import asyncio, os
from support.scripted_backends import FindingBackend
from anyjob import JobStatus, wait
from anyjob.tracking import plain_polling

backend = FindingBackend()
still = backend.run()
plain_polling.poll(still, print)
asyncio.run(asyncio.wait_for(backend.run(answers=[JobStatus.DONE]), 30))
child = os.fork()
job = backend.run(answers=[JobStatus.RUNNING, JobStatus.DONE])
assert wait([job], 30).done == [job]
assert asyncio.run(asyncio.wait_for(job, 30)) == "result of p2"
if child:
    assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_waits_work_in_a_process_that_was_forked() -> None:
    """psij-python#387: fork in a threaded parent hung."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(
        command, cwd=Path(__file__).parent, timeout=LONG * 3, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_left_subscribed_when_a_wait_cannot_begin(gate: threading.Event) -> None:
    class NoJob(ScriptedJob):
        def _on_final(self, callback: Any) -> Any:
            raise LookupError("no watcher")

    engine = UniformEngine()
    job = engine.run(Call(abs, (1,)))
    with pytest.raises(LookupError):
        wait([job, NoJob()], LONG)
    assert job._record.final_callbacks == ()
