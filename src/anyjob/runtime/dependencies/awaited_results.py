"""Results of other jobs that a job of this program waits for, since they are arguments of its call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anyjob.errors import DependencyFailedError
from anyjob.outcome import LocalException, LocalValue, Outcome
from anyjob.references import LazyResultOf, ResultOf
from anyjob.serialization.stored_values import StoredValue
from anyjob.standalone import runner
from anyjob.status import JobStatus


def when_there(references: Sequence[ResultOf], call: Callable[[Outcome | None], object]) -> None:
    """Have a function called once: when all these jobs have succeeded, or the first has not.

    Args:
        references: to the results.
        call: given None, or what came of who waits for them.
    """
    left = len(references)

    def heard(reference: ResultOf, said: JobStatus | BaseException) -> None:
        nonlocal left
        left -= 1
        outcome = failure(reference, said)
        if outcome is not None:
            left = -1  # and nobody is told again
            call(outcome)
        elif not left:
            call(None)

    for reference in references:
        reference.job._call_at_end(
            lambda said, reference=reference: heard(reference, said) if left > 0 else None
        )


def wait(references: Sequence[ResultOf]) -> Outcome | None:
    """Wait until all these jobs have succeeded; return what came of who waits where one has not."""
    for reference in references:
        reference.job.wait_for_final_state()
        outcome = failure(reference, reference.job.status())
        if outcome is not None:
            return outcome
    return None


def failure(reference: ResultOf, said: JobStatus | BaseException) -> Outcome | None:
    """Return what came of a job whose call needs this result, if there is none."""
    if said is JobStatus.DONE:
        return None
    cause = _cause(reference, said)
    if isinstance(cause, DependencyFailedError) and cause.prerequisite:
        message, first = f"{cause}, by way of {reference.called}", cause.prerequisite
        cause = cause.__cause__
    else:
        what = "was cancelled" if said is JobStatus.CANCELLED else f"failed: {type(cause).__name__}: {cause}"
        message = f"what it needs did not come about: job {reference.called} {what}"
        first = reference.job_id
    error = DependencyFailedError(message, prerequisite=first)
    error.__cause__ = cause
    return Outcome(
        status=JobStatus.ERROR,
        reason="dependency",
        message=str(error),
        exception=LocalException(error),
        finished=time.time(),
    )


def _cause(reference: ResultOf, said: JobStatus | BaseException) -> BaseException | None:
    """Return what the result of a job raises."""
    if isinstance(said, BaseException):
        return said
    try:
        reference.job.result()
    except Exception as error:
        return error
    return None


class Values:
    """The results themselves, each read once, for a call that is made in this process."""

    def __init__(self) -> None:
        self._read: dict[str, Any] = {}

    def __call__(self, reference: ResultOf) -> Any:
        """Return one.

        Raises:
            NoResult: it cannot be read.
        """
        if isinstance(reference, LazyResultOf):
            job = reference.job
            return runner.LazyResult(lambda: job.result())
        if reference.job_id not in self._read:
            try:
                self._read[reference.job_id] = reference.job.result()
            except Exception as error:
                raise unreadable(reference, error) from error
        return self._read[reference.job_id]


def pickled(references: Sequence[ResultOf]) -> Mapping[str, Any]:
    """Return the results as another process takes them: see `anyjob.standalone.runner.Results`.

    Raises:
        NoResult: one cannot be read, or pickled.
    """
    given: dict[str, Any] = {}
    for reference in references:
        job = reference.job
        record = getattr(job, "_record", None)
        kept = (
            record.outcome.value if record is not None and record.kind == record.native == "python" else None
        )
        try:
            if isinstance(kept, StoredValue):
                given[job.job_id()] = (kept.path,)
            elif isinstance(kept, bytes):
                given[job.job_id()] = kept
            else:
                given[job.job_id()] = runner.dumps(
                    kept.value if isinstance(kept, LocalValue) else job.result()
                )
        except Exception as error:
            raise unreadable(reference, error) from error
    return given


def unreadable(reference: ResultOf, error: Exception) -> runner.NoResult:
    """Return the error that says whose result cannot be read."""
    return runner.NoResult(
        f"the result of job {reference.called}, which is an argument, cannot be read: "
        f"{type(error).__name__}: {error}"
    )
