"""What the scheduler last reported of a job, and how anyjob reads that."""

from __future__ import annotations

import time

import msgspec

from anyjob import JobStatus, Observation, Outcome


class LastObservation(msgspec.Struct):
    """What the scheduler last reported of a job.

    Args:
        state: ``waiting``, ``running``, ``finished``, or ``no-result``: it has left Dask without one.
        worker: the one that it runs on or, where its result is ``large``, that holds this.
        reason: why there is no result.
        message: the same in words, or why it waits.
        lost_result: the id of the job whose result was lost, where it has none since.
        attempt: which attempt it is, from 1.
        large: whether the result is too large for the scheduler.
        since: when that was reported (`time.monotonic`).
    """

    state: str = "waiting"
    worker: str = ""
    reason: str = ""
    message: str = ""
    lost_result: str = ""
    attempt: int = 1
    large: bool = False
    since: float = msgspec.field(default_factory=time.monotonic)


def has_ended(last: LastObservation) -> bool:
    """Whether the job has finished, or has left Dask without a result."""
    return last.state in ("finished", "no-result")


def to_observation(last: LastObservation, has_result: bool) -> Observation:
    """Say where a job is: it counts as running until its result, which says how it has ended, is here."""
    if last.state == "no-result":
        outcome = outcome_without_result(last)
        return Observation(outcome.status, outcome.reason, outcome.message, attempt=last.attempt)
    waits = last.state == "waiting"
    status = JobStatus.DONE if has_result else JobStatus.QUEUED if waits else JobStatus.RUNNING
    return Observation(status, message=last.message, attempt=last.attempt)


def outcome_without_result(last: LastObservation) -> Outcome:
    """Return the outcome of a job that has left Dask without a result."""
    if last.reason == "cancelled":
        return Outcome(status=JobStatus.CANCELLED, message=last.message)
    return Outcome(
        status=JobStatus.ERROR,
        reason=last.reason,
        message=last.message,
        attempt=last.attempt,
        lost_result=last.lost_result,
    )
