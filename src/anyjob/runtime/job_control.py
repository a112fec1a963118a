"""What is done to jobs that were handed over: they are cancelled, held, paused, by one call to the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from anyjob import _typing as t
from anyjob.errors import JobError

if TYPE_CHECKING:
    from anyjob.taskjob import TaskJob


def cancel_many(backend: t.TaskBackend, jobs: Sequence[TaskJob], *, downstream: bool) -> list[bool]:
    """Cancel jobs of a backend, as `TaskBackend.cancel_many` has it."""
    tracker = backend._tracker
    records = [job._record for job in jobs]
    for job, record in zip(jobs, records, strict=True):
        if record.tracker is not tracker:
            raise JobError(
                f"job {job.job_id()} is of backend {job.backend()!s}, not of {backend.name()!r}, or that of "
                "another session: anyjob.cancel([…]) takes jobs of any"
            )
        tracker.check(record)
    if not downstream:
        from anyjob.runtime.dependencies.dropped_prerequisites import let_go

        let_go(backend, [record.job_id for record in records])
    accepted: set[str] = set()
    deferred = [record.job_id for record in records if record.deferred and record.outcome is None]
    if deferred:
        accepted.update(backend.recorder.cancel_deferred(deferred))
    held = [record for record in records if record.held is not None and record.outcome is None]
    accepted.update(record.job_id for record in held if record.held.cancel())
    accepted.update(backend.recorder.stop_attempts([r.job_id for r in records if r.outcome is None]))
    for record in records:
        is_elsewhere = record.unsure or record.deferred or record.job_id in accepted
        if is_elsewhere:  # it may be with the engine, which has to be asked for its id, or have ended
            tracker.ask(record)
    open_records = [record for record in records if record.outcome is None and record.native_id is not None]
    if open_records:
        backend._check_here("cancel its jobs")
    answers = backend.terminate([record.ticket() for record in open_records]) if open_records else {}
    refused = [record.job_id for record in open_records if not answers.get(record.attempt_id)]
    accepted.update({record.job_id for record in open_records}.difference(refused))
    if refused:
        backend.recorder.allow_attempts(refused)
    if open_records:
        from anyjob.runtime.dependencies.children import cancel_children

        cancel_children(backend, [record.job_id for record in open_records])
    if accepted:
        backend.notify(accepted)
    return [record.job_id in accepted for record in records]


def control_many(
    backend: t.TaskBackend, action: str, jobs: Sequence[TaskJob], value: int | None
) -> list[bool]:
    """Do something to jobs of a backend, as `TaskBackend.control_many` has it."""
    records = [job._record for job in jobs]
    open_records = [record for record in records if record.outcome is None]
    if open_records:
        backend._check_here(control_in_words(action, "its jobs"))
    tickets = [record.ticket() for record in open_records]
    done = backend.control(action, tickets, value) if open_records else {}
    return [bool(done.get(record.attempt_id)) for record in records]


def control_in_words(action: str, jobs: str) -> str:
    """Return what an action of `TaskBackend.control` does to jobs, as part of a sentence."""
    return f"give {jobs} a priority" if action == "priority" else f"{action} {jobs}"
