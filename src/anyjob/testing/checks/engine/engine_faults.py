"""An engine that is away, that has forgotten a job, or does not say whether it has taken one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from unittest import SkipTest

from anyjob.errors import AnyjobError, BackendUnavailableError
from anyjob.job import JOB_FINAL_STATES, JobStatus
from anyjob.orders import Rejected, Unsure
from anyjob.outcome import Outcome
from anyjob.taskbackend import TaskBackend
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import needs_engine
from anyjob.testing.instrumentation.call_recorder import AttributesChanged, CallRecorder

GRACE = 0.5
"""Seconds that a job may be unknown, where it will not be known any more."""


class EngineFaults:
    """What the engine does not say is not taken for an answer."""

    # --- an engine that is away -------------------------------------------------------------------

    @needs_engine("down")
    def test_an_engine_that_is_away_is_told_by_its_own_error(self, harness: BackendHarness) -> None:
        """While the engine cannot be reached, status() raises BackendUnavailableError, and no job fails."""
        # qiskit-aqt-provider#274, qiskit-aqua#752
        job = harness.run_slow()
        seen: list[JobStatus] = []
        with harness.engine.down():
            harness.wait_until(
                lambda: _is_away(job.status, seen), "a status() that says that the engine is away"
            )
        failed = [status for status in seen if status in JOB_FINAL_STATES]
        assert not failed, f"while the engine was away, a job that runs was said to be {failed[0]!r}"
        status = harness.wait_until(
            lambda: _reachable_status(job.status), "the status of a job, once the engine is back"
        )
        assert status not in JOB_FINAL_STATES, f"the engine was away, and the job that runs now is {status!r}"

    @needs_engine("down")
    def test_a_wait_outlasts_an_engine_that_is_away(self, harness: BackendHarness) -> None:
        """A wait goes on while the engine cannot be reached, and ends when the job has."""
        # qiskit-aqt-provider#274, qiskit-aqua#752
        for wait in (_wait_for_final_state, _outcome):
            job = harness.run(harness.samples[0].succeeds)
            with ThreadPoolExecutor(1) as thread, CallRecorder(harness.backend, "observe") as observed:
                with harness.engine.down():
                    waiting = thread.submit(wait, job, harness)
                    harness.wait_until(
                        lambda observed=observed, waiting=waiting: observed.raised or waiting.done(),  # type: ignore[misc]
                        "an observe() that cannot reach the engine, and says so",
                    )
                error = waiting.exception()
            assert observed.raised or error is None, (
                "observe() raised nothing while the engine was away, and answered as if nothing were known "
                f"of its jobs: have it raise BackendUnavailableError (the wait raised {error!r})"
            )
            assert error is None, f"a wait was ended by an engine that was away: {error!r}"
            status = job.status()
            assert status is JobStatus.DONE, f"the engine was away during a wait, and the job is {status!r}"

    @needs_engine("down")
    def test_work_for_an_engine_that_is_away_is_refused_at_once(self, harness: BackendHarness) -> None:
        """run() raises BackendUnavailableError while the engine cannot be reached, and leaves no job."""
        name = f"for an engine that is away {os.urandom(4).hex()}"
        work = harness.samples[0].succeeds
        with harness.engine.down():
            for hand_over in (
                harness.backend.run,
                lambda work, **more: harness.backend.run_many([work], **more),
            ):
                found = _returned_or_raised(lambda call=hand_over: call(work, name=name))  # type: ignore[misc]
                assert isinstance(found, BackendUnavailableError), (
                    f"work for an engine that is away: {_describe(found)}, and no BackendUnavailableError"
                )
        with closing(harness.reopen()) as anew:
            left = harness.session.jobs(name=name) or anew.session.jobs(name=name)
            assert not left, f"run() has raised, and yet there is a job: {left[0]!r}"
        outcome = harness.outcome(harness.run(work))
        assert outcome.status is JobStatus.DONE, f"the engine is back, and work ends as {outcome.status.name}"

    @needs_engine("down")
    def test_a_cancel_that_does_not_reach_the_engine_is_not_accepted(self, harness: BackendHarness) -> None:
        """cancel() does not say True while the engine cannot be reached."""
        job = harness.run_slow()
        with harness.engine.down():
            found = _returned_or_raised(job.cancel)
        assert found is False or isinstance(found, BackendUnavailableError), (
            f"cancel() of a job whose engine is away: {_describe(found)}"
        )
        status = harness.wait_until(
            lambda: _reachable_status(job.status), "the status of a job, once the engine is back"
        )
        assert status not in JOB_FINAL_STATES, (
            f"a cancel has not reached the engine, and the job is {status!r}"
        )

    # --- an engine that has forgotten a job -------------------------------------------------------

    @needs_engine("forget")
    def test_a_job_that_the_engine_has_forgotten_is_unknown_before_it_is_lost(
        self, harness: BackendHarness
    ) -> None:
        """An id that the engine knows no more is unknown at first, and lost only after the grace period."""
        # aiida-core#1505, aiida-core#4326, Parsl#1588, Parsl#3316, nextflow#1644
        job = harness.run_slow()
        harness.wait_until(job.running, "a job that runs")
        with AttributesChanged(harness.backend, grace=GRACE):
            forgotten = time.monotonic()
            harness.engine.forget(job.native_id())
            harness.wait_until(job.in_final_state, "the end of a job that the engine knows no more")
            passed = time.monotonic() - forgotten
        outcome = harness.outcome(job)
        assert outcome.status is not JobStatus.DONE, "a job that the engine knows no more was taken for DONE"
        assert passed >= GRACE, (
            f"a job was {outcome.status.name} ({outcome.reason}) within {passed:.2f} s after the engine had "
            f"forgotten it: the grace period is {GRACE:g} s"
        )
        assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "lost"), (
            f"a job that the engine knows no more ended as {outcome.status.name}, reason {outcome.reason!r}"
        )
        assert outcome.message, "a job was lost, and its outcome does not say why that is thought"

    @needs_engine("forget")
    def test_what_lies_in_the_spool_counts_when_the_engine_has_forgotten(
        self, harness: BackendHarness
    ) -> None:
        """A job that has left its outcome in its spool is not lost when the engine has forgotten it."""
        # aiida-core#1505, Parsl#1588
        jobs = [harness.run(sample.succeeds) for sample in harness.samples]
        jobs = [job for job in jobs if job.metadata()["route"][-2:] == ["python", "command"]]
        if not jobs:
            raise SkipTest(f"no work of {harness.name} leaves its outcome in a spool")
        with AttributesChanged(harness.backend, grace=0.0):
            for job in jobs:
                ticket = job._record.ticket()
                left = harness.wait_until(
                    lambda ticket=ticket: TaskBackend.collect(harness.backend, [ticket]),  # type: ignore[misc]
                    "an outcome in the spool of a call",
                )
                harness.engine.forget(job.native_id())
                outcome = harness.outcome(job)
                expected = left[job.job_id()].status
                assert outcome.status is expected, (
                    f"the spool of a job says that it is {expected.name}, the engine has forgotten it, and "
                    f"it ended as {outcome.status.name} ({outcome.reason})"
                )

    # --- an engine that does not answer -----------------------------------------------------------

    def test_a_submission_that_was_not_answered_is_made_good(self, harness: BackendHarness) -> None:
        """A job that the engine took without saying so is found, or else lost, and not submitted twice."""
        # submitit#1659
        native: dict[str, str] = {}
        work = harness.samples[0].succeeds
        backend = harness.backend
        finds = backend.capabilities.find
        with CallRecorder(backend, "launch", _answers_lost(native)) as launches:
            job = harness.run(work)
            with AttributesChanged(backend, grace=backend.grace if finds else GRACE):
                outcome = harness.outcome(job, lambda: _describe_find(harness, job, native))
        _assert_found_or_lost(job, outcome, launches, finds)
        found, taken = job.native_id(), native[job.job_id()]
        assert not finds or found == taken, f"the engine took a job as {taken}, and it was found as {found}"

    @needs_engine("lose_next_answer")
    def test_an_answer_that_is_lost_on_its_way_is_no_rejection(self, harness: BackendHarness) -> None:
        """A job that the engine took, and whose answer was lost on its way, is found, or else lost."""
        # submitit#1659
        backend = harness.backend
        finds = backend.capabilities.find
        harness.engine.lose_next_answer()
        with CallRecorder(backend, "launch") as launches:
            try:
                job = harness.run(harness.samples[0].succeeds)
            except AnyjobError as error:
                raise AssertionError(
                    "the engine took a job, its answer was lost on the way, and run() took that for a no "
                    f"({error!r}): have launch() yield Unsure(), or a dialect know the words (`unsure`)"
                ) from error
            with AttributesChanged(backend, grace=backend.grace if finds else GRACE):
                outcome = harness.outcome(job)
        _assert_found_or_lost(job, outcome, launches, finds)


def _assert_found_or_lost(job: Any, outcome: Outcome, launches: CallRecorder, finds: bool) -> None:
    """What the engine took without saying so was submitted once; it is DONE where it can be found."""
    times = launches.count(job.job_id())
    assert len(launches.calls) == times == 1, f"the work was submitted {len(launches.calls)} times"
    if finds:
        assert outcome.status is JobStatus.DONE, (
            "the engine took a job and did not say so; the backend declares find=True, and the job ended as "
            f"{outcome.status.name} ({outcome.reason}): {outcome.message}"
        )
        return
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "lost"), (
        f"a job of which nobody can know ended as {outcome.status.name} ({outcome.reason})"
    )
    assert outcome.message, "a job was lost, and its outcome does not say why that is thought"


def _describe_find(harness: BackendHarness, job: Any, native: dict[str, str]) -> str:
    """Say what ``find`` gives for a job that the engine took without saying so."""
    answer = _returned_or_raised(lambda: harness.backend.find([job.job_id()]))
    return (
        f"the engine took job {job.job_id()} as {native[job.job_id()]}, and did not say so; find() is then "
        f"asked for it, and {_describe(answer)}"
    )


def _is_away(status: Callable[[], JobStatus], seen: list[JobStatus]) -> bool:
    try:
        seen.append(status())
    except BackendUnavailableError:
        return True
    except Exception as error:
        raise AssertionError(f"while the engine was away, status() raised {error!r}") from error
    return seen[-1] in JOB_FINAL_STATES


def _reachable_status(status: Callable[[], JobStatus]) -> JobStatus | None:
    try:
        return status()
    except BackendUnavailableError:
        return None  # it was away a moment ago


def _returned_or_raised(call: Callable[[], Any]) -> Any:
    """What a call raises, else what it returns."""
    try:
        return call()
    except Exception as error:  # whatever it raises is what the check looks at
        return error


def _describe(found: Any) -> str:
    return f"{'raised' if isinstance(found, Exception) else 'returned'} {found!r}"


def _wait_for_final_state(job: Any, harness: BackendHarness) -> None:
    job.wait_for_final_state(timeout=harness.timeout)


def _outcome(job: Any, harness: BackendHarness) -> None:
    job.outcome(timeout=harness.timeout)


def _answers_lost(native: dict[str, str]) -> Callable[[Any, Any], Iterator[tuple[Any, Any]]]:
    """Let the engine take what it is given, and not hear its answer."""

    def launch(real: Callable[[Sequence[Any]], Any], orders: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        for order, answer in real(orders):
            assert isinstance(answer, (str, Rejected, Unsure)), (
                f"launch() yielded {answer!r} for an order, not its native id as a str, Rejected or Unsure"
            )
            if isinstance(answer, str):
                native[order.job_id] = answer
                answer = Unsure()
            yield order, answer

    return launch
