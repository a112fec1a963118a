"""Takes in jobs that others have submitted: they get an id, a name and a row in the ledger, as ours have."""

from __future__ import annotations

from typing import Any

from anyjob.errors import JobNotFoundError
from anyjob.resources import Resources
from anyjob.runtime.ids import new_id, require_id
from anyjob.status import JobStatus
from anyjob.tracking.records import JobRecord


def attach(backend: Any, native_id: str, resources: Resources) -> Any:
    """Return a handle on the job that the engine of a backend knows by this id.

    Args:
        backend: the backend.
        native_id: what the engine calls the job.
        resources: what the job is to be called, and its tags, if nobody has called it something yet.

    Raises:
        JobNotFoundError: the engine does not know of it.
    """
    require_id(native_id, "the engine's id of it")
    tracker = backend._tracker
    for known in tracker.records():
        if known.native_id == native_id:
            return tracker.handle(known)
    try:
        return backend.retrieve_job(native_id)
    except JobNotFoundError:
        pass
    if backend.queues_in_ledger:
        raise JobNotFoundError(
            f"backend {backend.name()!r} has no job {native_id!r}: it has those alone that anyjob gave it"
        )
    kind = kind_of_others(backend)
    record = JobRecord(tracker, new_id(), kind, kind, lambda: ((), resources))
    record.is_ours = False
    record.native_id, record.name = native_id, resources.name
    record.status = JobStatus.QUEUED
    if record.job_id not in backend.observe([record.ticket()]):
        raise JobNotFoundError(f"backend {backend.name()!r} has no job {native_id!r}")
    ours = backend.recorder.attached(record)
    if ours != record.job_id:  # another process was faster, or it is known under another name of the machine
        return backend.recall(backend.recorder.ledger.rows([ours])[ours])
    tracker.add(record)
    return tracker.handle(record)


def kind_of_others(backend: Any) -> str:
    """Return of which kind a job is that others have given a backend; empty where it takes several."""
    return next(iter(backend.accepts)) if len(backend.accepts) == 1 else ""
