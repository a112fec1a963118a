"""Cancelling: of what is queued, what runs, and what has ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any
from unittest import SkipTest

from anyjob.errors import JobCancelledError, JobTimeoutError
from anyjob.job import JobStatus
from anyjob.specs import Command
from anyjob.taskjob import TaskJob
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import live, requires
from anyjob.testing.harness.messages import describe_end

CROWD = 16
"""Slow jobs that are handed over at once, for some to be queued."""


class Cancellation:
    """A cancel ends the work, and says whether it will."""

    @live
    @requires("cancel_running")
    def test_work_that_runs_is_cancelled(self, harness: BackendHarness) -> None:
        """The cancel of a job that runs gives True (of a plain job, perhaps None) and makes it CANCELLED."""
        job = harness.run_slow()
        harness.wait_until(job.running, "a job that runs")
        answer = job.cancel()
        assert answer is True or _says_nothing(job, answer), (
            f"the cancel of a job that runs gave {answer!r}, not True"
        )
        _is_cancelled(job, harness)

    def test_what_has_ended_is_not_cancelled(self, harness: BackendHarness) -> None:
        """The cancel of a job that has ended gives False, and the job stays DONE."""
        for sample in harness.samples:
            job = harness.run(sample.succeeds)
            harness.assert_done(job, f"{sample.kind}: work that succeeds")
            answer = job.cancel()
            assert answer is False or _says_nothing(job, answer), (
                f"{sample.kind}: the cancel of a job that is DONE gave {answer!r}, not False"
            )
            status = job.status()
            assert status is JobStatus.DONE, f"{sample.kind}: it was DONE, and after a cancel is {status!r}"


class TaskCancellation:
    """What a task backend promises of cancels beside."""

    @requires("cancel_running")
    def test_a_cancelled_job_has_no_result(self, harness: BackendHarness) -> None:
        """result() of a cancelled job raises JobCancelledError, and gives no None."""
        job = harness.run_slow()
        harness.wait_until(job.running, "a job that runs")
        job.cancel()
        try:
            value = job.result(harness.timeout)
        except JobCancelledError:
            return
        except JobTimeoutError as error:
            raise AssertionError(f"the cancel of a job that runs did not end it: {error}") from error
        except Exception as error:
            raise AssertionError(f"result() of a cancelled job raised {error!r}") from error
        raise AssertionError(f"result() of a cancelled job returned {value!r}")

    def test_what_waits_in_the_queue_is_cancelled(self, harness: BackendHarness) -> None:
        """The cancel of a job that is queued is accepted, and the job never runs."""
        jobs = harness.run_many([harness.slow_work()] * CROWD)
        harness.wait_until(lambda: any(job.running() for job in jobs), "one of many jobs that runs")
        queued = [job for job in jobs if job.status() is JobStatus.QUEUED]
        if not queued:
            raise SkipTest(f"{harness.name} runs {CROWD} jobs at a time: give it fewer slots by `options`")
        job = queued[-1]
        answer = job.cancel()
        assert answer is True, f"the cancel of a job that is queued gave {answer!r}, not True"
        _is_cancelled(job, harness)
        started = job.outcome().started
        assert started is None, f"a job was cancelled in the queue, and is said to have started at {started}"

    @requires("cancel_running")
    def test_many_are_cancelled_by_one_call(self, harness: BackendHarness) -> None:
        """cancel_many() asks the engine once, says for each job whether that was accepted, and ends them."""
        done = harness.run(harness.samples[0].succeeds)
        harness.wait(done)
        jobs = [harness.run_slow() for _ in range(3)]
        calls = _record_terminate_calls(harness.backend)
        answers = harness.backend.cancel_many([jobs[0], done, *jobs[1:]])
        assert answers == [True, False, True, True], (
            f"the cancel of a job that runs, one that is DONE, and two that run was answered by {answers}"
        )
        assert len(calls) == 1, f"to cancel 4 jobs, terminate() was called {len(calls)} times, not once"
        for job in jobs:
            _is_cancelled(job, harness)

    @requires("cancel_running", "logs")
    def test_the_process_tree_is_gone(self, harness: BackendHarness) -> None:
        """When a program is cancelled, what it has started ends with it."""
        harness.require_native_kind("command")
        job = harness.run(Command(["sh", "-c", "sleep 300 & echo $! $(uname -n); wait"]))
        words = _first_line(job, harness).split()
        assert len(words) == 2, f"a program that was to write a process id and a host has written {words}"
        pid, host = words
        if host != os.uname().nodename or not Path("/proc", pid).exists():
            raise SkipTest(f"the work runs where its processes cannot be seen: on {host}")
        try:
            assert job.cancel() is True, "the cancel of a program that runs was not accepted"
            _is_cancelled(job, harness)
            harness.wait_until(
                lambda: _is_gone(pid), f"the end of process {pid}, which a cancelled program started"
            )
        finally:
            if not _is_gone(pid):
                os.kill(int(pid), signal.SIGKILL)

    @requires("cancel_running", "logs")
    def test_a_program_is_asked_to_end_before_it_is_killed(self, harness: BackendHarness) -> None:
        """A program that is cancelled gets SIGTERM, and time to clean up, before it is killed."""
        harness.require_native_kind("command")
        script = "trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        job = harness.run(Command(["sh", "-c", script]))
        _first_line(job, harness)
        job.cancel()
        _is_cancelled(job, harness)
        harness.wait_until(lambda: "cleaned\n" in job.logs(), "the clean-up of a program on SIGTERM")


def _says_nothing(job: Any, answer: Any) -> bool:
    return answer is None and not isinstance(job, TaskJob)


def _first_line(job: Any, harness: BackendHarness) -> str:
    """Wait for a program to have written a line, and return that."""
    harness.wait_until(lambda: "\n" in "".join(job.logs()) or job.in_final_state(), "what a program writes")
    lines: list[str] = list(job.logs())
    assert not job.in_final_state(), (
        f"a program that was to write a line, and to go on, ended as {describe_end(job)}"
    )
    return lines[0]


def _is_cancelled(job: Any, harness: BackendHarness) -> None:
    try:
        harness.wait(job)
    except AssertionError as error:
        raise AssertionError(f"the cancel of a job was accepted, and the job goes on: {error}") from None
    status = job.status()
    assert status is JobStatus.CANCELLED, f"a job whose cancel was accepted ended as {describe_end(job)}"
    assert job.cancelled(), "cancelled() of a cancelled job is not True"


def _record_terminate_calls(backend: Any) -> list[int]:
    """Have the calls of ``terminate`` counted from now on, by the number of jobs of each."""
    calls: list[int] = []
    terminate = backend.terminate

    def counted(tickets: Any) -> Any:
        calls.append(len(tickets))
        return terminate(tickets)

    backend.terminate = counted
    return calls


def _is_gone(pid: str) -> bool:
    try:
        state = Path("/proc", pid, "stat").read_text()
    except OSError:
        return True
    return state.rpartition(")")[2].split()[0] in "ZX"  # it has ended, and nobody has reaped it
