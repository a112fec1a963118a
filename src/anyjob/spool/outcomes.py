"""What an outcome means to the caller: the value that the work returned, or the exception to raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyjob.errors import (
    CommandFailedError,
    DependencyFailedError,
    JobCancelledError,
    JobFailedError,
    JobRejectedError,
    RemoteError,
)
from anyjob.outcome import LocalException, LocalValue, Outcome
from anyjob.spool import result_pickles
from anyjob.spool.job_spool import InSpool, load_large
from anyjob.status import JobStatus

FORGOTTEN = (
    "it is not in the ledger any more: the state directory was removed, or `anyjob prune` has forgotten it"
)
"""What is said of a job that nothing is known of any more."""


def load_value(outcome: Outcome) -> Any:
    """Return what a job returned: a fresh copy, or the object itself where it cannot be pickled."""
    value = outcome.value
    if isinstance(value, LocalValue):
        return value.value
    if isinstance(value, InSpool):
        value = load_large(value)
    return result_pickles.loads(value) if isinstance(value, bytes) else value


def unreadable(why: str, attempt: int = 1) -> Outcome:
    """Return the outcome of a job that has ended, of which nobody can read what came."""
    return Outcome(
        status=JobStatus.ERROR,
        reason="lost",
        message=f"what came of it cannot be read: {why}",
        attempt=attempt,
    )


def failure_of(job_id: str, outcome: Outcome, stderr: Callable[[], str]) -> BaseException | None:
    """Return the exception that tells of a failed or cancelled job; None for one that has succeeded.

    Args:
        job_id: whose outcome it is.
        outcome: what came of it.
        stderr: reads the end of what it wrote to stderr; called where that tells why it failed.
    """
    if outcome.status is JobStatus.DONE:
        return None
    if outcome.reason == "rejected":
        return JobRejectedError(f"job {job_id} was not taken" + _because(outcome.message))
    if outcome.status is JobStatus.CANCELLED:
        return JobCancelledError(f"job {job_id} was cancelled" + _because(outcome.message))
    if outcome.exception is not None:
        original = load_exception(outcome)
        if original is not None:
            return original
    message = f"job {job_id} failed ({outcome.reason or 'no reason known'})" + _because(outcome.message)
    if outcome.traceback:
        return RemoteError(message, traceback=outcome.traceback, reason=outcome.reason or "exception")
    if outcome.reason == "exit-code":
        end = stderr()
        return CommandFailedError(
            message + (f"\nthe end of its stderr:\n{end}" if end else ""),
            exit_code=outcome.exit_code if outcome.exit_code is not None else 1,
            stderr=end,
        )
    if outcome.reason == "dependency":
        return DependencyFailedError(message)
    return JobFailedError(message, reason=outcome.reason or "exception")


def load_exception(outcome: Outcome) -> BaseException | None:
    """Return what a job raised; None where it did not survive.

    One that comes from elsewhere has the remote traceback as its cause; one of this process has its own.
    """
    assert outcome.exception is not None
    kept = outcome.exception
    local = isinstance(kept, LocalException)
    try:
        error = kept.exception() if isinstance(kept, LocalException) else result_pickles.loads(kept)
    except Exception:  # what unpickling raises is not to be foreseen
        return None
    if not isinstance(error, BaseException):
        return None
    from concurrent.futures import CancelledError

    # A SystemExit or KeyboardInterrupt of the job must not end the program that asks about it.
    if not isinstance(error, Exception) or isinstance(error, CancelledError):
        return None
    if local:
        return error
    error.__cause__ = RemoteError(
        f"the job raised it ({outcome.reason or 'exception'})" + _because(outcome.message),
        traceback=outcome.traceback,
        reason=outcome.reason or "exception",
    )
    return error


def _because(message: str) -> str:
    return f": {message}" if message else ""
