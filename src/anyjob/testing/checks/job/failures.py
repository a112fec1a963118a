"""Failures: each says its reason, and what can be done about it is in it."""

from __future__ import annotations

import threading
from typing import Any

from anyjob.errors import (
    CommandFailedError,
    JobFailedError,
    JobRejectedError,
    RemoteError,
    SerializationError,
    UnsupportedSpecError,
)
from anyjob.job import JobStatus
from anyjob.outcome import LocalException
from anyjob.specs import Call, Command, Spec
from anyjob.taskjob import TaskJob
from anyjob.testing.harness.backend import BackendHarness
from anyjob.testing.harness.marks import live, needs_engine, requires
from anyjob.testing.harness.messages import describe_end, short_repr

UNPICKLABLE = """
import threading
error = ValueError("the words of it")
error.lock = threading.Lock()
raise error
"""


class Failures:
    """Work that fails ends as ERROR, and not in silence."""

    @live
    def test_work_that_fails_is_an_error(self, harness: BackendHarness) -> None:
        """Work that fails ends as ERROR, and its result() raises."""
        for sample in harness.samples_with("fails"):
            job = harness.run(sample.fails)
            harness.wait(job)
            status = job.status()
            assert status is JobStatus.ERROR, f"{sample.kind}: work that fails ended as {status!r}"
            assert not job.done(), f"{sample.kind}: done() of work that failed is True"
            try:
                value = job.result()
            except Exception:  # of whatever kind: a plain job's is the plugin's own
                continue
            raise AssertionError(f"{sample.kind}: result() of work that failed returned {short_repr(value)}")


class TaskFailures:
    """What a task backend says of failures, and what it will not take at all."""

    def test_a_failure_has_its_reason(self, harness: BackendHarness) -> None:
        """The outcome of work that fails says why, and exception() returns what result() raises."""
        for sample in harness.samples_with("fails"):
            job = harness.run(sample.fails)
            outcome = harness.outcome(job)
            assert outcome.reason == sample.reason, (
                f"{sample.kind}: the reason of the failure is {outcome.reason!r}, not {sample.reason!r}: "
                f"it ended as {describe_end(job)}"
            )
            error = job.exception()
            assert isinstance(error, Exception), (
                f"{sample.kind}: exception() of work that failed is {error!r}"
            )
            raised = _raised(job, harness)
            assert type(raised) is type(error), f"{sample.kind}: result() raised {raised!r}, not {error!r}"

    @live
    def test_a_failed_program_says_its_exit_code_and_its_last_words(self, harness: BackendHarness) -> None:
        """A program that exits with 3 raises CommandFailedError with that code and the end of its stderr."""
        harness.require_kind("command")
        job = harness.run(Command(["sh", "-c", "echo first; echo the reason of it >&2; exit 3"]))
        error = _raised(job, harness)
        assert isinstance(error, CommandFailedError), f"a program that exits with 3 raised {error!r}"
        assert error.exit_code == 3, f"the exit code is {error.exit_code}, not 3"
        assert "the reason of it" in error.stderr, f"the end of its stderr is {error.stderr!r}"
        assert "the reason of it" in str(error), f"the message has no end of stderr: {error}"

    def test_a_program_that_is_not_there_is_named(self, harness: BackendHarness) -> None:
        """A program that cannot be started is an ERROR that names it."""
        harness.require_kind("command")
        job = harness.run(Command(["no-such-program-of-anyjob"]))
        error = _raised(job, harness)
        assert isinstance(error, JobFailedError), f"a program that is not there raised {error!r}"
        assert "no-such-program-of-anyjob" in str(error), f"the message does not name the program: {error}"

    def test_a_program_that_a_signal_ends_says_so(self, harness: BackendHarness) -> None:
        """A program that a signal ends has the reason `signal`, and the number of it."""
        harness.require_kind("command")
        outcome = harness.outcome(harness.run(Command(["sh", "-c", "kill -9 $$"])))
        assert outcome.status is JobStatus.ERROR, f"a program that SIGKILL ended is {outcome.status.name}"
        assert outcome.reason == "signal", f"the reason is {outcome.reason!r}, not 'signal'"
        if "command" in harness.backend.accepts:
            assert outcome.signal == 9, f"the signal is {outcome.signal!r}, not 9"

    @requires("walltime")
    def test_what_runs_too_long_is_ended(self, harness: BackendHarness) -> None:
        """Work that runs longer than its walltime ends as ERROR, with the reason `walltime`."""
        job = harness.run_slow(walltime=harness.walltime)
        outcome = harness.outcome(job)
        assert outcome.status is JobStatus.ERROR, f"work that ran too long ended as {outcome.status.name}"
        assert outcome.reason == "walltime", f"the reason is {outcome.reason!r}, not 'walltime'"
        error = _raised(job, harness)
        assert isinstance(error, JobFailedError), f"result() of work that ran too long raised {error!r}"
        assert error.reason == "walltime", f"the reason in the error is {error.reason!r}, not 'walltime'"

    @live
    def test_an_exception_comes_back_with_the_remote_traceback(self, harness: BackendHarness) -> None:
        """What a call raises is raised by result(), from elsewhere with the remote traceback as its cause."""
        harness.require_kind("python")
        job = harness.run(Call("operator:truediv", (1, 0)))
        error = _raised(job, harness)
        assert isinstance(error, ZeroDivisionError), f"1/0 raised {error!r}"
        cause = error.__cause__
        if isinstance(harness.outcome(job).exception, LocalException):
            return  # its frames are its own
        assert isinstance(cause, RemoteError), f"the cause of the exception is {cause!r}, no RemoteError"
        assert "ZeroDivisionError" in cause.traceback, f"the remote traceback is {cause.traceback!r}"

    def test_an_exception_that_cannot_be_pickled_is_told(self, harness: BackendHarness) -> None:
        """An exception that cannot be pickled comes back without what cannot, or as RemoteError."""
        harness.require_kind("python")
        job = harness.run(Call("builtins:exec", (UNPICKLABLE, {})))
        error = _raised(job, harness)
        found = isinstance(error, (RemoteError, ValueError))
        assert found, f"an exception that cannot be pickled came back as {error!r}"
        assert "the words of it" in str(error), f"the text of the exception is lost: {error}"
        if isinstance(harness.outcome(job).exception, LocalException):
            return  # its frames are its own
        cause = error if isinstance(error, RemoteError) else error.__cause__
        assert isinstance(cause, RemoteError), f"the cause of the exception is {cause!r}, no RemoteError"
        assert "ValueError" in cause.traceback, f"the remote traceback is {cause.traceback!r}"

    def test_a_result_that_cannot_be_pickled_is_told(self, harness: BackendHarness) -> None:
        """A result that cannot be pickled is an ERROR that says so, or comes back as it is."""
        harness.require_kind("python")
        job = harness.run(Call("threading:Lock"))
        if harness.outcome(job).status is JobStatus.DONE:
            value = job.result()
            assert type(value) is type(threading.Lock()), f"a lock came back as {value!r}"
        else:
            error = _raised(job, harness)
            assert "lock" in str(error), f"the message does not say what cannot be pickled: {error}"

    def test_an_argument_that_cannot_be_pickled_is_refused(self, harness: BackendHarness) -> None:
        """An argument that cannot be pickled is refused by run(), naming it, or reaches the call."""
        harness.require_kind("python")
        try:
            job = harness.run(Call("operator:not_", (threading.Lock(),)))
        except SerializationError as error:
            assert "argument 0" in str(error), f"run() refused the work, and does not name what: {error}"
        except Exception as error:
            raise AssertionError(f"run() with an argument that cannot be pickled raised {error!r}") from error
        else:
            value = _result(job, harness)
            assert value is False, f"`not lock` is {value!r}, and not refused"

    def test_a_missing_module_is_named(self, harness: BackendHarness) -> None:
        """A call whose module is not installed there has the reason `missing-module`, naming it."""
        harness.require_kind("python")
        (job,) = harness.run_many([Call("no_such_module_of_anyjob:function")])  # run() raises a rejection
        outcome = harness.outcome(job)
        assert outcome.reason == "missing-module", f"the reason is {outcome.reason!r}, not 'missing-module'"
        error = _raised(job, harness)
        assert "no_such_module_of_anyjob" in str(error), f"the message does not name the module: {error}"

    def test_a_kind_that_it_cannot_run_is_refused(self, harness: BackendHarness) -> None:
        """Work of a kind that the backend cannot run is refused by run(), which says what it accepts."""
        harness.session.registry.register_job_type("kit.strange", StrangeJob)
        try:
            job = harness.run(Strange())
        except UnsupportedSpecError as error:
            assert "kit.strange" in str(error), f"the message does not name the kind: {error}"
            for kind in harness.backend.accepts:
                assert kind in str(error), f"the message does not say that {kind!r} is accepted: {error}"
        except Exception as error:
            raise AssertionError(f"work of a kind that it cannot run raised {error!r}") from error
        else:
            raise AssertionError(f"work of a kind that it cannot run was taken as {job!r}")

    @needs_engine("reject_next")
    def test_a_rejected_job_is_raised_by_run(self, harness: BackendHarness) -> None:
        """run() raises JobRejectedError for work that the engine will not take."""
        harness.engine.reject_next()
        try:
            job = harness.run(harness.samples[0].succeeds)
        except JobRejectedError:
            return
        except Exception as error:
            raise AssertionError(f"a rejection is raised as {error!r}, no JobRejectedError") from error
        raise AssertionError(f"what the engine would not take was handed over as {job!r}")

    @needs_engine("reject_next")
    def test_a_rejected_one_of_many_comes_back_as_an_error(self, harness: BackendHarness) -> None:
        """run_many() gives a job that was rejected as ERROR with that reason, and runs the others."""
        all_at_once = harness.engine.reject_next()
        work = harness.samples[0].succeeds
        outcomes = [harness.outcome(job) for job in harness.run_many([work] * 3)]
        rejected = [outcome for outcome in outcomes if outcome.status is not JobStatus.DONE]
        expected = 3 if all_at_once else 1
        assert len(rejected) == expected, (
            f"of 3 jobs the engine rejected {expected}, and {len(rejected)} have failed"
        )
        reason = rejected[0].reason
        assert reason == "rejected", f"the reason of a rejected job is {reason!r}, not 'rejected'"
        assert rejected[0].message, "the outcome of a rejected job does not say why"


class Strange(Spec, frozen=True, tag="kit.strange"):
    """Work that nobody runs."""


class StrangeJob(TaskJob):
    """The kind of it, which lowers to nothing."""

    spec_type = Strange


def _raised(job: Any, harness: BackendHarness) -> BaseException:
    """Return what result() raises."""
    try:
        value = job.result(harness.timeout)
    except Exception as error:  # whatever it raises is what the check looks at
        return error
    raise AssertionError(f"result() of work that fails returned {short_repr(value)}")


def _result(job: Any, harness: BackendHarness) -> Any:
    try:
        return job.result(harness.timeout)
    except Exception as error:
        raise AssertionError(f"work that run() has taken failed with {error!r}") from error
