"""What was last heard of a job."""

from __future__ import annotations

import time

import msgspec

from anyjob.orders import Observation
from anyjob.specs import Outcome
from anyjob.status import JobStatus


class LastObservation(msgspec.Struct):
    """What was last heard of a job: ``waiting``, ``running``, ``ended`` or ``gone``.

    ``worker`` is the one that it runs on or, where its result is ``large``, that holds this; ``since`` is
    when that was heard (`time.monotonic`).
    """

    state: str = "waiting"
    worker: str = ""
    reason: str = ""
    message: str = ""
    attempt: int = 1
    large: bool = False
    since: float = msgspec.field(default_factory=time.monotonic)


def is_over(seen: LastObservation) -> bool:
    """Whether the job has ended, or has left Dask."""
    return seen.state in ("ended", "gone")


def observation(seen: LastObservation, is_here: bool) -> Observation:
    """Say where a job is; that of one that has ended since we looked for its result is not here yet."""
    if seen.state == "gone":
        outcome = gone_outcome(seen)
        return Observation(outcome.status, outcome.reason, outcome.message, attempt=seen.attempt)
    waits = seen.state == "waiting"
    status = JobStatus.DONE if is_here else JobStatus.QUEUED if waits else JobStatus.RUNNING
    return Observation(status, message=seen.message, attempt=seen.attempt)


def gone_outcome(seen: LastObservation) -> Outcome:
    """Return what came of a job that has left Dask without a result."""
    if seen.reason == "cancelled":
        return Outcome(status=JobStatus.CANCELLED, message=seen.message)
    return Outcome(status=JobStatus.ERROR, reason=seen.reason, message=seen.message, attempt=seen.attempt)
