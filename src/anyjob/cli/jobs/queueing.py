"""Why a job does not run yet: told by ``anyjob show``, and once by what waits where there is no terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from anyjob.cli.terminal.output import is_terminal, print_message
from anyjob.ledger.rows import HELD, PAUSED, WAITING
from anyjob.status import JobStatus
from anyjob.taskjob import TaskJob

if TYPE_CHECKING:
    from anyjob.ledger.store import Ledger

PATIENCE = 3.0
"""Seconds of waiting after which a pipe or a log is told why nothing happens."""
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
        awaited = ledger.awaited([job.job_id()]).get(job.job_id())
        if awaited is not None:
            return None, awaited.in_words()
        due = ledger.due([job.job_id()]).get(job.job_id())
        if due is not None:
            return None, due.in_words(time.time())
        row = ledger.rows([job.job_id()]).get(job.job_id())
        if row is not None and row.reason in SAID:
            return None, SAID[row.reason]
    running = len(ledger.in_state(number, JobStatus.RUNNING))
    position = queues[number].get(job.job_id())
    slots = getattr(backend.options, "slots", None)
    of_slots = "" if slots is None else f" on {slots} slot{'' if slots == 1 else 's'}"
    return position, f"waits for {'a slot' if position == 1 else 'its turn'}: {running} running{of_slots}"


def _places(ledger: Ledger, number: int, *, fair: bool) -> dict[str, int]:
    """Return which place each job of a queue has, as far as the ledger tells of whose turn it is."""
    from anyjob.builtin.local.supervisor.scheduling.ordering import Lane, in_order
    from anyjob.ledger.encoding import decode_resources

    waiting = ledger.waiting(number)
    contexts = ledger.contexts(list({bulk for _, bulk, _ in waiting}))
    asked = {bulk: decode_resources(context.resources) for bulk, context in contexts.items()}

    def lane(bulk: int, priority: int | None) -> Lane:
        resources = asked[bulk]
        own = resources.priority if priority is None else priority
        return Lane(own, 0, resources.name if fair else "")

    order = in_order((job_id, lane(bulk, priority)) for job_id, bulk, priority in waiting)
    return {job_id: place for place, job_id in enumerate(order, 1)}


@contextmanager
def explained_wait(jobs: Sequence[Any]) -> Iterator[None]:
    """While it is entered, say once why none of these jobs runs, where no terminal shows where they are."""
    if is_terminal(sys.stderr):
        yield
        return
    timer = threading.Timer(PATIENCE, _say_why, [jobs])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say_why(jobs: Sequence[Any]) -> None:
    with suppress(Exception):  # who waits hears of what goes wrong; this is but a word about it
        states = [job.status() for job in jobs]
        if any(state not in (JobStatus.QUEUED, JobStatus.INITIALIZING) for state in states):
            return
        first = jobs[0]
        position, why = queue_place(first) if isinstance(first, TaskJob) else (None, "")
        told = [f"{states[0].name} on {first.backend()}"]
        if position is not None:
            told.append(f"position {position}")
        told.append(why or "its engine does not say why")
        many = f"none of {len(jobs)} jobs runs yet; the first, " if len(jobs) > 1 else ""
        print_message(f"{many}job {first.job_id()[:8]}: {', '.join(told)}")
