"""The place of a job in its queue, and what it waits for there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from anyjob.ledger.rows import HELD, PAUSED, WAITING
from anyjob.resources import labels_of
from anyjob.status import JobStatus
from anyjob.taskjob import TaskJob
from anyjob.views.queries import resources_of
from anyjob.views.queries import running as running_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyjob.ledger.store import Ledger

SAID = {
    WAITING: "waits for its jobs; others have its place meanwhile",
    HELD: "is held: `anyjob release` lets it start",
    PAUSED: "is paused: `anyjob resume` has it go on",
}
"""What is said of a job that has not ended, by the reason that the ledger has."""


def queue_place(job: TaskJob, queues: dict[int, dict[str, int]] | None = None) -> tuple[int | None, str]:
    """Return the place of a job in its queue, and what it waits for, as far as that is known.

    Args:
        job: it is not asked for.
        queues: remembers the queues in the ledger, by the numbers of their backends, for those that follow.
    """
    record, backend = job._record, job.backend()
    if backend.other_host:
        return record.queue_position, f"is on host {backend.other_host}, and only there it is run and told of"
    if record.status is not JobStatus.QUEUED or not backend.queues_in_ledger:
        return record.queue_position, record.message
    ledger = backend.services.ledger
    number = backend.recorder.number
    queues = {} if queues is None else queues
    if number not in queues:
        queues[number] = _places(ledger, number, fair=getattr(backend.options, "order", "") == "fair")
    if job.job_id() not in queues[number]:
        awaited = ledger.dependencies.awaited([job.job_id()]).get(job.job_id())
        if awaited is not None:
            return None, awaited.in_words()
        due = ledger.attempts.due([job.job_id()]).get(job.job_id())
        if due is not None:
            return None, due.in_words(time.time())
        row = ledger.rows([job.job_id()]).get(job.job_id())
        if row is not None and row.reason in SAID:
            return None, SAID[row.reason]
    running = len(ledger.queue.in_state(number, JobStatus.RUNNING))
    position = queues[number].get(job.job_id())
    set_now = ledger.settings(number)
    limited = _limited(ledger, job, number, set_now.get("limits", getattr(backend.options, "limits", {})))
    if limited:
        return position, limited
    slots = set_now.get("slots", getattr(backend.options, "slots", None))
    of_slots = "" if slots is None else f" on {slots} slot{'' if slots == 1 else 's'}"
    return position, f"waits for {'a slot' if position == 1 else 'its turn'}: {running} running{of_slots}"


def _limited(ledger: Ledger, job: TaskJob, number: int, limits: Mapping[str, int]) -> str:
    """Return which limit of its name or tags keeps a job waiting; empty where none does."""
    labels = [label for label in labels_of(job._record.resources) if label in limits]
    if not labels:
        return ""
    running = [labels_of(each) for each in resources_of(ledger, running_of(ledger, number))]
    for label in labels:
        count = sum(label in others for others in running)
        if count >= limits[label]:
            return f"waits for the limit of {label}: {count} running of {limits[label]} at a time"
    return ""


def _places(ledger: Ledger, number: int, *, fair: bool) -> dict[str, int]:
    """Return which place each job of a queue has, as far as the ledger tells of whose turn it is."""
    from anyjob.builtin.local.supervisor.scheduling.ordering import Lane, in_order
    from anyjob.ledger.encoding import decode_resources

    waiting = ledger.queue.waiting(number)
    contexts = ledger.contexts(list({bulk for _, bulk, _ in waiting}))
    asked = {bulk: decode_resources(context.resources) for bulk, context in contexts.items()}

    def lane(bulk: int, priority: int | None) -> Lane:
        resources = asked[bulk]
        own = resources.priority if priority is None else priority
        return Lane(own, 0, resources.name if fair else "")

    order = in_order((job_id, lane(bulk, priority)) for job_id, bulk, priority in waiting)
    return {job_id: place for place, job_id in enumerate(order, 1)}
