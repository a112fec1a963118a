"""When a job that its engine does not know is taken for lost, and in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyjob.orders import Observation
from anyjob.outcome import Outcome
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.tracking.engine import Engine
    from anyjob.tracking.records import JobRecord


def unknown(backend: Engine, record: JobRecord, now: float) -> Observation | None:
    """Return what an id counts as that the engine does not answer for: unknown, and lost after a grace."""
    if record.missing_since is None:
        record.missing_since = now
    if now - record.missing_since < backend.grace:
        return None
    return Observation(
        JobStatus.ERROR,
        "lost",
        f"backend {backend.name()!r} has not known of job {record.job_id} (its {record.native_id}) "
        f"for {now - record.missing_since:.0f} s, and nothing came of it: it is taken for lost",
    )


def never_found(backend: Engine, record: JobRecord) -> Outcome:
    """Return what came of a job of which nobody can tell whether the engine has taken it."""
    message = (
        f"backend {backend.name()!r} did not say whether it has taken job {record.job_id}, and "
        "cannot find it: it is taken for lost, and not submitted again, lest it run twice"
    )
    return Outcome(status=JobStatus.ERROR, reason="lost", message=message)
