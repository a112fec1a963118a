"""Results that stay with an engine: it is given at once what takes them, and starts that by itself."""

from __future__ import annotations

import threading
from collections.abc import Collection, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import BackendError
from anyjob.job import BaseJob
from anyjob.ledger.dependencies import RESULT
from anyjob.ledger.rows import FINAL, Prerequisite
from anyjob.orders import Ticket
from anyjob.resources import goes_again
from anyjob.runtime.dependencies.dependent import Dependent
from anyjob.runtime.dependencies.job_arguments import results_in
from anyjob.status import JobStatus

PATIENCE = 5.0
"""Seconds that an engine may take to tell of a job that has failed, once it has told what fails of that."""

if TYPE_CHECKING:
    from anyjob.references import ResultOf
    from anyjob.tracking.records import JobRecord


def keep(backend: t.TaskBackend, records: Sequence[JobRecord]) -> Collection[str]:
    """Note with each of these jobs, which are about to be launched, what its engine gives it by itself.

    Returns:
        those of the jobs whose results they take that have succeeded: else these are given as values.
    """
    needed = {record.job_id: {one.job_id: one for one in results_in(record.specs[0])} for record in records}
    given = {job_id: one for found in needed.values() for job_id, one in found.items()}
    if not given:
        return ()
    look = _look_up if backend.capabilities.durable else _look
    there, done = look(backend, given)
    try:
        kept = backend.keep_results(list(there.values())) if there else {}
    except BackendError:
        return done  # who launches them is told
    for record in records:
        record.kept = {job_id: kept[job_id] for job_id in needed[record.job_id] if job_id in kept}
    return done


def started_by_engine(backend: t.TaskBackend, records: Sequence[JobRecord]) -> list[JobRecord]:
    """Return those of these jobs whose engine has all that they start after, and starts them by itself."""
    done = keep(backend, records)
    started = []
    for record in records:
        if record.kept and all(_is_there(each, record.kept, done) for each in record.after):
            started.append(record)
        else:
            record.kept = {}
    return started


def _is_there(needed: Any, kept: Container[str], done: Container[str]) -> bool:
    job_id = needed.job_id if isinstance(needed, Prerequisite) else needed.job.job_id()
    return needed.condition == RESULT and (job_id in kept or job_id in done)


class Followed(Dependent):
    """A job of this process that its engine starts, as long as it is open: it holds those that it needs.

    What these leave is collected at their ends, so that the engine need not keep it for us: one that is asked
    from memory tells of these by itself.

    Args:
        record: of the job; it is launched.
        listens: whether it has its backend ask about these.
    """

    def __init__(self, record: JobRecord, *, listens: bool) -> None:
        super().__init__(record)
        self._needed: dict[str, BaseJob] = {needed.job.job_id(): needed.job for needed in record.after}
        self._listens = False
        self._told = threading.Condition()
        record.after = ()
        if listens:
            self._listen()

    def _listen(self) -> None:
        if not self._listens:
            self._listens = True
            for job_id, job in list(self._needed.items()):
                job._on_final(lambda said, job_id=job_id: self._ended(job_id, said))  # type: ignore[misc]

    def _ended(self, job_id: str, said: JobStatus | BaseException) -> None:
        with self._told:
            job = self._needed.pop(job_id, None)
            if said is not JobStatus.DONE and self._broken_by is None:
                self._broken_by = job
            self._told.notify_all()

    def broken_by(self) -> BaseJob | None:
        """Return which of them has failed: the engine may tell of that later than of the job itself."""
        self._listen()
        with self._told:
            self._told.wait_for(lambda: self._broken_by is not None or not self._needed, PATIENCE)
        return self._broken_by


def _look(backend: t.TaskBackend, given: Mapping[str, ResultOf]) -> tuple[dict[str, Ticket], set[str]]:
    """Return of jobs of this process the tickets of which results may be kept, and who has succeeded."""
    found, done = {}, set()
    for job_id, one in given.items():
        record = getattr(one.job, "_record", None)
        if record is None:
            continue
        if record.status is JobStatus.DONE:
            done.add(job_id)
        if (
            record.tracker is backend._tracker
            and record.kind == record.native == "python"
            and record.native_id is not None
            and (record.status is JobStatus.DONE or (record.outcome is None and not _goes_again(record)))
        ):
            found[job_id] = record.ticket()
    return found, done


def _look_up(backend: t.TaskBackend, given: Mapping[str, ResultOf]) -> tuple[dict[str, Ticket], set[str]]:
    """Return the same of jobs of the ledger; what has ended is in there."""
    ledger = backend.services.ledger
    rows = ledger.rows(list(given))
    recorder: Any = backend.recorder
    again = set(ledger.attempts.may_go_again(list(given)))
    found = {
        job_id: Ticket(job_id=job_id, native_id=row.native_id, submitted=row.submitted)
        for job_id, row in rows.items()
        if row.backend == recorder.number
        and row.kind == row.native == "python"
        and row.native_id is not None
        and 0 <= row.state < FINAL
        and job_id not in again
    }
    return found, {job_id for job_id, row in rows.items() if row.status is JobStatus.DONE}


def _goes_again(record: JobRecord) -> bool:
    """Tell whether a job may have another attempt, whose result is the one that counts."""
    return record.launched_attempt > 1 or goes_again(record.resources)
