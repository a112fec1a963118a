"""The life of a job, from its submission to its result."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from anyjob.job import JOB_FINAL_STATES, JobStatus
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import live
from anyjob.testing.harness.messages import short_repr
from anyjob.testing.harness.samples import ANY

STAGES = {
    JobStatus.INITIALIZING: 0,
    JobStatus.QUEUED: 1,
    JobStatus.VALIDATING: 1,
    JobStatus.RUNNING: 2,
    JobStatus.DONE: 3,
    JobStatus.CANCELLED: 3,
    JobStatus.ERROR: 3,
}
"""How far a job is: it never goes back."""
SKEW = 5.0
"""Seconds that clocks may differ by."""


class Lifecycle:
    """A job goes through its states and gives its result."""

    @live
    def test_work_that_succeeds_is_done_and_gives_its_result(self, harness: BackendHarness) -> None:
        """Work that succeeds ends as DONE, and its result is what it should be."""
        for sample in harness.samples:
            job = harness.run(sample.succeeds)
            harness.assert_done(job, f"{sample.kind}: work that succeeds")
            value = job.result()
            assert sample.value is ANY or value == sample.value, (
                f"{sample.kind}: the result is {short_repr(value)}, not {short_repr(sample.value)}"
            )

    @live
    def test_a_status_is_a_status_and_only_goes_forward(self, harness: BackendHarness) -> None:
        """Each answer to status() is a JobStatus, and none goes back to an earlier stage."""
        for sample in harness.samples:
            job = harness.run(sample.succeeds)
            seen: list[JobStatus] = []
            harness.wait_until(partial(_look, job, seen), f"{sample.kind}: the end of the job")
            stages = [STAGES[status] for status in seen]
            assert stages == sorted(stages), (
                f"{sample.kind}: the job went back: it was seen as {', '.join(s.name for s in seen)}"
            )

    def test_what_has_ended_stays_as_it_ended(self, harness: BackendHarness) -> None:
        """A job that has ended stays as it ended, and every question about it is answered alike."""
        for sample in harness.samples:
            job = harness.run(sample.succeeds)
            harness.assert_done(job, f"{sample.kind}: work that succeeds")
            for _ in range(3):
                status = job.status()
                assert status is JobStatus.DONE, f"{sample.kind}: it had ended as DONE, and now is {status!r}"
            answers = job.done(), job.in_final_state(), job.running(), job.cancelled()
            assert answers == (True, True, False, False), (
                f"{sample.kind}: of a job that is DONE, done(), in_final_state(), running() and cancelled() "
                f"say {answers}"
            )

    def test_slow_work_is_seen_to_run(self, harness: BackendHarness) -> None:
        """Work that takes a while is seen as RUNNING, and not as ended while it runs."""
        job = harness.run_slow()
        seen: list[JobStatus] = []
        harness.wait_until(
            lambda: _look(job, seen) or seen[-1] is JobStatus.RUNNING, "a job that is seen as RUNNING"
        )
        names = ", ".join(status.name for status in seen)
        assert seen[-1] is JobStatus.RUNNING, f"slow work was never seen as RUNNING, but as {names}"
        answers = job.running(), job.in_final_state(), job.done(), job.cancelled()
        assert answers == (True, False, False, False), (
            f"of a job that runs, running(), in_final_state(), done() and cancelled() say {answers}"
        )


def _look(job: Any, seen: list[JobStatus]) -> bool:
    status = job.status()
    assert isinstance(status, JobStatus), f"status() gave {status!r}, which is no JobStatus"
    if not seen or seen[-1] is not status:
        seen.append(status)
    return status in JOB_FINAL_STATES


class TaskLifecycle:
    """What is known of a job that a task backend ran."""

    def test_the_times_make_sense(self, harness: BackendHarness) -> None:
        """What a job's outcome says of its start and its end fits, and is no time to come."""
        for sample in harness.samples:
            began = time.monotonic()
            outcome = harness.outcome(harness.run(sample.succeeds))
            took = time.monotonic() - began
            assert outcome.finished is None or outcome.finished <= time.time() + SKEW, (
                f"{sample.kind}: it ended at {outcome.finished:.1f}, which is yet to come"
            )
            if outcome.started is not None and outcome.finished is not None:
                ran = outcome.finished - outcome.started
                assert 0 <= ran <= took + SKEW, (
                    f"{sample.kind}: it ended {ran:.1f} s after it started, and was seen for {took:.1f} s"
                )

    def test_each_result_is_the_same_and_a_copy_of_its_own(self, harness: BackendHarness) -> None:
        """Each result() gives the same, whatever became of the one before."""
        for sample in harness.samples:
            job = harness.run(sample.succeeds)
            first, second = job.result(harness.timeout), job.result()
            assert sample.value is ANY or first == second, (
                f"{sample.kind}: result() gave {short_repr(first)}, and then {short_repr(second)}"
            )
            assert type(first) is type(second), f"{sample.kind}: {type(first)}, and then {type(second)}"

    def test_a_result_that_was_changed_does_not_change_the_next(self, harness: BackendHarness) -> None:
        """Whoever changes a result has changed a copy."""
        harness.require_kind("python")
        from anyjob.specs import Call

        job = harness.run(Call("builtins:list", ([1, 2],)))
        first = job.result(harness.timeout)
        assert first == [1, 2], f"list([1, 2]) gave {first!r}"
        first.append(3)
        second = job.result()
        assert second == [1, 2], f"the result was changed by its user, and the next one is {second!r}"

    def test_a_job_in_the_arguments_of_a_call_stands_for_its_result(self, harness: BackendHarness) -> None:
        """A job in the arguments of a call, in lists and dicts too, is waited for, and is its result."""
        harness.require_kind("python")
        from anyjob.specs import Call

        first = harness.run(Call("builtins:divmod", (17, 5)))
        if harness.backend.capabilities.durable:  # a releaser may not know a type of tests
            harness.assert_done(first, "a call")
        job = harness.run(Call("builtins:list", ([first, {"again": (first,)}],)))
        harness.assert_done(job, "a call with another job in its arguments")
        value = job.result()
        assert value == [(3, 2), {"again": ((3, 2),)}], (
            f"a call was to get the result of another job, (3, 2), and got {short_repr(value)}"
        )
        assert value[0] is value[1]["again"][0], "the result of one job is two objects in a call"

    def test_a_call_is_not_made_whose_arguments_did_not_come_about(self, harness: BackendHarness) -> None:
        """A call that needs the result of a job that fails ends as ERROR, with that failure as the cause."""
        harness.require_kind("python")
        from anyjob.errors import DependencyFailedError
        from anyjob.specs import Call

        failed = harness.run(Call("builtins:int", ("seven",)))
        job = harness.run(Call("builtins:list", ([failed],)))
        harness.wait(job)
        error = job.exception()
        assert isinstance(error, DependencyFailedError), (
            f"what needs the result of a job that has failed raises {short_repr(error)}, "
            "not a DependencyFailedError"
        )
        assert isinstance(error.__cause__, ValueError), f"its cause is {short_repr(error.__cause__)}"

    def test_a_call_is_not_made_whose_lazy_arguments_did_not_come_about(
        self, harness: BackendHarness
    ) -> None:
        """A call that would read the result of a job only later does not begin where that job fails."""
        harness.require_kind("python")
        from anyjob.references import lazy
        from anyjob.specs import Call

        failed = harness.run(Call("builtins:int", ("seven",)))
        outcome = harness.outcome(harness.run(Call("builtins:bool", (lazy(failed),))))
        assert outcome.reason == "dependency", (
            "what is given the result of a job that has failed as a lazy argument has ended as "
            f"{outcome.status.name} with the reason {outcome.reason!r}, not 'dependency'"
        )
