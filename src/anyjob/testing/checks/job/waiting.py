"""Waits, their callbacks and their deadlines."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from anyjob.errors import JobTimeoutError
from anyjob.job import JOB_FINAL_STATES, JobStatus
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import live
from anyjob.testing.harness.messages import describe_end, short_repr
from anyjob.testing.harness.samples import ANY

SHORT = 0.2
"""Seconds of a deadline that is meant to pass."""
GROSS = 10.0
"""Seconds by which no deadline is overshot, however busy the machine."""


class Waiting:
    """A wait asks, tells its callback, and keeps its deadline."""

    @live
    def test_the_callback_is_told_after_each_query(self, harness: BackendHarness) -> None:
        """A wait calls callback(job_id, status, job) after each query, the last one too."""
        for sample in harness.samples:
            job = harness.run(sample.succeeds)
            calls: list[tuple[Any, ...]] = []
            job.wait_for_final_state(
                harness.timeout, 0.05, lambda *arguments, calls=calls: calls.append(arguments)
            )
            assert calls, f"{sample.kind}: the callback was never called"
            for arguments in calls:
                assert len(arguments) == 3, (
                    f"the callback got {len(arguments)} arguments, not job_id, status, job"
                )
                job_id, status, handle = arguments
                assert job_id == job.job_id(), f"the callback got {job_id!r} as the id of {job.job_id()!r}"
                assert isinstance(status, JobStatus), f"the callback got {status!r}, which is no JobStatus"
                assert handle is job, (
                    f"the callback got {handle!r} as the job, not the one that was waited for"
                )
            early = [status for _, status, _ in calls[:-1] if status in JOB_FINAL_STATES]
            assert not early, f"{sample.kind}: the wait went on after the job was {early[0].name}"
            last = calls[-1][1]
            assert last is JobStatus.DONE, (
                f"{sample.kind}: the last that the callback was told is {last.name}, of a job that should "
                f"be DONE, and ended as {describe_end(job)}"
            )

    def test_what_the_callback_raises_passes_through(self, harness: BackendHarness) -> None:
        """What the callback of a wait raises is raised by the wait."""
        job = harness.run(harness.samples[0].succeeds)
        try:
            job.wait_for_final_state(harness.timeout, 0.1, _enough)
        except _EnoughError:
            return
        raise AssertionError("what the callback raised did not pass through the wait")

    def test_a_job_that_has_ended_is_asked_once(self, harness: BackendHarness) -> None:
        """A wait for a job that has ended asks once and returns None, even with a timeout of 0."""
        for sample in harness.samples:
            job = harness.run(sample.succeeds)
            harness.assert_done(job, f"{sample.kind}: work that succeeds")
            for timeout in (None, harness.timeout, 0):
                calls: list[JobStatus] = []
                returned = job.wait_for_final_state(
                    timeout, callback=lambda _, status, __, calls=calls: calls.append(status)
                )
                assert calls == [JobStatus.DONE], (
                    f"{sample.kind}: a job that was DONE, waited for with timeout={timeout}, "
                    f"was asked {len(calls)} times: {[status.name for status in calls]}"
                )
                assert returned is None, f"wait_for_final_state() returned {returned!r}, not None"

    def test_a_deadline_is_kept(self, harness: BackendHarness) -> None:
        """A wait whose timeout is over raises a JobTimeoutError, a TimeoutError too, and the job goes on."""
        job = harness.run_slow()
        for timeout in (SHORT, 0):
            began = time.monotonic()
            try:
                job.wait_for_final_state(timeout=timeout, wait=60)
            except TimeoutError as error:
                late = time.monotonic() - began - timeout
                assert isinstance(error, JobTimeoutError), f"{error!r} is no JobTimeoutError"
                assert late < GROSS, f"a wait with timeout={timeout} raised {late:.1f} s after that"
            else:
                raise AssertionError(f"a wait with timeout={timeout} for a job that runs just returned")
        assert harness.keeps_running(job), "a wait whose time was over ended the job"

    def test_a_timeout_of_0_asks_once(self, harness: BackendHarness) -> None:
        """A wait with a timeout of 0 asks once, tells its callback, and raises."""
        job = harness.run_slow()
        calls: list[JobStatus] = []
        try:
            job.wait_for_final_state(timeout=0, wait=60, callback=lambda _, status, __: calls.append(status))
        except JobTimeoutError:
            assert len(calls) == 1, f"with timeout=0 the callback was called {len(calls)} times, not once"
        else:
            raise AssertionError("a wait with timeout=0 for a job that runs just returned")

    def test_wait_tells_what_has_ended_from_what_has_not(self, harness: BackendHarness) -> None:
        """wait() over several jobs returns those that have ended and those that have not."""
        quick = harness.run(harness.samples[0].succeeds)  # first, since there may be but one slot
        slow = harness.run_slow()
        first = harness.session.wait([slow, quick], harness.timeout, return_when="FIRST_COMPLETED")
        assert _same(first.done, [quick]), f"of a quick and a slow job, those have ended: {first.done}"
        assert _same(first.not_done, [slow]), f"of a quick and a slow job, those have not: {first.not_done}"
        now = harness.session.wait([slow, quick], timeout=0)
        assert _same(now.done, [quick]), f"asked once, those have ended: {now.done}"

    def test_as_completed_gives_jobs_as_they_end(self, harness: BackendHarness) -> None:
        """as_completed() yields each job once when it ends, and raises when its time is over."""
        quick = [harness.run(sample.succeeds) for sample in harness.samples for _ in range(2)]
        slow = harness.run_slow()
        got = []
        ending = harness.session.as_completed([slow, *quick], timeout=harness.timeout)
        for job in ending:
            got.append(job)
            if len(got) == len(quick):
                break
        assert {id(job) for job in got} == {id(job) for job in quick}, (
            f"with {len(quick)} quick jobs and a slow one, these ended first: {got}"
        )
        try:
            for job in harness.session.as_completed([slow], timeout=SHORT):
                raise AssertionError(f"as_completed() gave a job that runs: {job!r}")
        except TimeoutError as error:
            assert isinstance(error, JobTimeoutError), f"{error!r} is no JobTimeoutError"

    def test_await_gives_the_result(self, harness: BackendHarness) -> None:
        """`await job` gives the job's result."""

        async def awaited(job: Any) -> Any:
            return await asyncio.wait_for(_await(job), harness.timeout)

        for sample in harness.samples:
            value = asyncio.run(awaited(harness.run(sample.succeeds)))
            assert sample.value is ANY or value == sample.value, (
                f"{sample.kind}: awaited, the result is {short_repr(value)}, not {short_repr(sample.value)}"
            )

    def test_an_await_does_not_block_the_loop(self, harness: BackendHarness) -> None:
        """`await job` lets other tasks of the event loop go on."""
        job = harness.run_slow()

        async def beside() -> bool:
            waits = asyncio.ensure_future(_await(job))
            await asyncio.sleep(0.02)
            blocked = waits.done()
            waits.cancel()
            await asyncio.gather(waits, return_exceptions=True)
            return blocked

        assert not asyncio.run(beside()), "nothing else went on in the loop until the awaited job had ended"

    def test_a_cancelled_await_leaves_the_job(self, harness: BackendHarness) -> None:
        """To cancel an await does not cancel the job."""
        job = harness.run_slow()

        async def give_up() -> None:
            waits = asyncio.ensure_future(_await(job))
            await asyncio.sleep(0.02)
            waits.cancel()
            what = (await asyncio.gather(waits, return_exceptions=True))[0]
            assert isinstance(what, asyncio.CancelledError), f"an await that was cancelled gave {what!r}"

        asyncio.run(give_up())
        assert harness.keeps_running(job), f"an await was cancelled, and with it the job: {job.status().name}"


class TaskWaiting:
    """What handles of task backends wait with beside."""

    def test_a_result_is_waited_for_no_longer_than_asked(self, harness: BackendHarness) -> None:
        """result(), exception() and outcome() raise JobTimeoutError when their timeout is over."""
        job = harness.run_slow()
        for call in (job.result, job.exception, job.outcome):
            for timeout in (SHORT, 0):
                began = time.monotonic()
                try:
                    value = call(timeout)
                except JobTimeoutError:
                    late = time.monotonic() - began - timeout
                    assert late < GROSS, f"{call.__name__}({timeout}) raised {late:.1f} s after that"
                else:
                    raise AssertionError(
                        f"{call.__name__}({timeout}) of a job that runs gave {short_repr(value)}"
                    )


class _EnoughError(Exception):
    pass


def _enough(job_id: str, status: JobStatus, job: Any) -> None:
    raise _EnoughError


async def _await(job: Any) -> Any:
    return await job


def _same(jobs: list[Any], others: list[Any]) -> bool:
    return [id(job) for job in jobs] == [id(job) for job in others]
