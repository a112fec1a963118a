"""What becomes of the jobs of a call that raises: they are cancelled, and the error tells of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from anyjob import _typing as t
from anyjob.errors import StateError
from anyjob.tracking.records import JobRecord

SHOWN = 10
"""Ids of jobs that an error names, at most."""


def take_back(backend: t.TaskBackend, records: Mapping[str, JobRecord], error: BaseException) -> None:
    """Cancel the jobs that the engine has, since nobody gets their handles; the error tells of them.

    What stands in the ledger is not deleted: the engine may have it.

    Args:
        backend: what they were handed to.
        records: all jobs of a call that raises, by id.
        error: what it raises.
    """
    with suppress(StateError):
        for job_id in backend.recorder.entered([i for i in records if records[i].native_id is None]):
            if backend.queues_in_ledger:  # so it was handed over
                records[job_id].unsure = False
                backend._tracker.launched(records[job_id], job_id)
            elif records[job_id].outcome is None and not records[job_id].deferred:
                backend._tracker.unsure(records[job_id])
    there = [record for record in records.values() if record.native_id is not None]
    handed = [record for record in there if record.outcome is None]
    open_ids = {record.job_id for record in handed}
    ended = [record.job_id for record in there if record.job_id not in open_ids]
    unsure = [record.job_id for record in records.values() if record.unsure]
    deferred = [record.job_id for record in records.values() if record.deferred]
    held = [record for record in records.values() if record.held is not None]
    cancelled = [record.job_id for record in held if record.held.cancel()]
    try:
        if deferred:
            cancelled += backend.recorder.cancel_deferred(deferred)
        if handed:
            backend.recorder.stop_attempts([record.job_id for record in handed])
            answers = backend.terminate([record.ticket() for record in handed])
            cancelled += [record.job_id for record in handed if answers.get(record.attempt_id)]
    except BaseException as failure:  # Ctrl-C once more, or nobody answers
        error.add_note(f"anyjob: they could not be cancelled: {type(failure).__name__}: {failure}")
    known = set(cancelled)
    left = [record.job_id for record in handed if record.job_id not in known]
    for job_ids, what in (
        (ended, "at their end"),
        (cancelled, "cancelled"),
        (left, "not cancelled"),
        (unsure, "perhaps handed over"),
    ):
        if job_ids:
            error.add_note(f"anyjob: jobs of backend {backend.name()!r} that were {what}: {_listed(job_ids)}")


def _listed(job_ids: Sequence[str]) -> str:
    more = f" and {len(job_ids) - SHOWN} more" if len(job_ids) > SHOWN else ""
    return ", ".join(job_ids[:SHOWN]) + more
