"""What an engine starts by itself after others of its jobs: it has it at once, and keeps results for it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from anyjob import _typing as t
from anyjob.errors import BackendError
from anyjob.job import BaseJob
from anyjob.ledger.dependencies import RESULT, SUCCESS
from anyjob.ledger.rows import FINAL, Prerequisite
from anyjob.orders import Ticket
from anyjob.resources import goes_again
from anyjob.runtime.dependencies.dependent import Dependent, Needed
from anyjob.runtime.dependencies.job_arguments import results_in
from anyjob.status import JobStatus

PATIENCE = 5.0
"""Seconds that an engine may take to tell of a job that has failed, once it has told what fails of that."""
MOST_EDGES = 100
"""Edges without a result that an engine is given for one call, at most: to it each job has its own, where the
ledger has them once for a bulk; and what has some, it may not run together."""

if TYPE_CHECKING:
    from anyjob.tracking.records import JobRecord


def keep(backend: t.TaskBackend, records: Sequence[JobRecord]) -> Collection[str]:
    """Note with each of these jobs, which are about to be launched, what its engine gives it by itself.

    Returns:
        those of the jobs that they take results of, or start after, that have succeeded: these are given as
        values, or are not waited for.
    """
    taken = {r.job_id: {one.job_id: one.job for one in results_in(r.specs[0])} for r in records}
    order = {record.job_id: _successes(record) for record in records}
    if sum(map(len, order.values())) > MOST_EDGES:
        order = {}
    needed = {job_id: {**order.get(job_id, {}), **found} for job_id, found in taken.items()}
    given = {job_id: one for found in needed.values() for job_id, one in found.items()}
    if not given:
        return ()
    results = {job_id for found in taken.values() for job_id in found}
    look = _look_up if backend.capabilities.durable else _look
    there, done = look(backend, given, results)
    try:
        kept = backend.keep_results(list(there.values())) if there else {}
    except BackendError:
        return done  # who launches them is told
    for record in records:
        record.kept = {job_id: kept[job_id] for job_id in needed[record.job_id] if job_id in kept}
        record.unused = frozenset(record.kept).difference(taken[record.job_id])
    return done


def started_by_engine(backend: t.TaskBackend, records: Sequence[JobRecord]) -> list[JobRecord]:
    """Return those of these jobs whose engine has all that they start after, and starts them by itself."""
    done = keep(backend, records)
    started = []
    for record in records:
        if record.kept and all(_is_there(each, record, done) for each in record.after):
            started.append(record)
        else:
            record.kept = {}
    return started


def _successes(record: JobRecord) -> dict[str, Any]:
    """Return the jobs whose success a job starts after, with handles where it has them."""
    return {_id_of(each): getattr(each, "job", None) for each in record.after if each.condition == SUCCESS}


def _is_there(needed: Any, record: JobRecord, done: Container[str]) -> bool:
    job_id = _id_of(needed)
    if needed.condition not in (SUCCESS, RESULT):
        return False
    is_edge = job_id in record.kept and (needed.condition == SUCCESS or job_id not in record.unused)
    return is_edge or job_id in done


def _id_of(needed: Any) -> str:
    """Return the id of a job that another starts after: one of the ledger, or of this process."""
    return str(needed.job_id if isinstance(needed, Prerequisite) else needed.job.job_id())


_followed: WeakSet[Followed] = WeakSet()
_let_go: WeakSet[Followed] = WeakSet()
"""Those of them that wait no more for some of what they were to start after."""


def let_go(job_ids: Container[str]) -> None:
    """Have what engines start in this process's name wait for these jobs no more, but for their results."""
    for each in list(_followed):
        each.wait_no_more_for(job_ids)


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
        self._results = {each.job.job_id(): each.job for each in record.after if each.condition == RESULT}
        self._successes = {*self._needed}.difference(self._results)
        self._listens = False
        self._told = threading.Condition()
        record.after = ()
        _followed.add(self)
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

    def wait_no_more_for(self, job_ids: Container[str]) -> None:
        """Need these jobs no more, but for results: where the engine ends it for one, it begins anew."""
        with self._told:
            dropped = [one for one in self._needed if one in job_ids and one not in self._results]
            for job_id in dropped:
                del self._needed[job_id]
        if dropped:
            _let_go.add(self)

    def is_told_wrong(self, lost: str) -> bool:
        """Tell whether its engine ends it for a job that it waits for no more, or for a lost result,
        where only the success was needed.
        """
        return self in _let_go or lost in self._successes

    def awaited(self) -> list[BaseJob]:
        """Return what it starts after, and has not ended as far as is known."""
        return list(self._needed.values())

    def can_start_still(self, lost: str) -> bool:
        """Tell whether it can: its engine was wrong about it, or about one that it starts after."""
        if self._broken_by is not None or not (lost or _let_go):
            return False
        left: list[Dependent] = [self]
        seen: set[Dependent] = {self}
        while left:
            one = left.pop()
            if one.is_told_wrong(lost):
                return True
            records = (getattr(job, "_record", None) for job in one.awaited())
            above = [each.behind for each in records if each is not None and each.behind is not None]
            left += [each for each in above if each not in seen]
            seen.update(above)
        return False

    def begins_anew(self, record: JobRecord) -> tuple[Needed, ...]:
        """Give its work handles again on what it takes, and return what it is to start after yet."""
        for one in results_in(record.specs[0]):
            one.job = self._results.get(one.job_id)
        with self._told:
            return tuple(
                Needed(job, RESULT if job_id in self._results else SUCCESS)
                for job_id, job in self._needed.items()
            )

    def broken_by(self) -> BaseJob | None:
        """Return which of them has failed: the engine may tell of that later than of the job itself."""
        self._listen()
        with self._told:
            self._told.wait_for(lambda: self._broken_by is not None or not self._needed, PATIENCE)
        return self._broken_by


def _look(
    backend: t.TaskBackend, given: Mapping[str, Any], results: Container[str]
) -> tuple[dict[str, Ticket], set[str]]:
    """Return of jobs of this process the tickets of which results may be kept, and who has succeeded.

    Args:
        backend: whose engine would keep them.
        given: handles on the jobs, by their ids.
        results: the jobs of which more is needed than their success.
    """
    found, done = {}, set()
    for job_id, job in given.items():
        record = getattr(job, "_record", None)
        if record is None:
            continue
        if record.status is JobStatus.DONE:
            done.add(job_id)
        if (
            record.tracker is backend._tracker
            and (job_id not in results or record.kind == record.native == "python")
            and record.native_id is not None
            and (record.status is JobStatus.DONE or (record.outcome is None and not _goes_again(record)))
        ):
            found[job_id] = record.ticket()
    return found, done


def _look_up(
    backend: t.TaskBackend, given: Mapping[str, Any], results: Container[str]
) -> tuple[dict[str, Ticket], set[str]]:
    """Return the same of jobs of the ledger; what has ended is in there."""
    ledger = backend.services.ledger
    rows = ledger.rows(list(given))
    recorder: Any = backend.recorder
    again = set(ledger.attempts.may_go_again(list(given)))
    found = {
        job_id: Ticket(job_id=job_id, native_id=row.native_id, submitted=row.submitted)
        for job_id, row in rows.items()
        if row.backend == recorder.number
        and (job_id not in results or row.kind == row.native == "python")
        and row.native_id is not None
        and 0 <= row.state < FINAL
        and job_id not in again
    }
    return found, {job_id for job_id, row in rows.items() if row.status is JobStatus.DONE}


def _goes_again(record: JobRecord) -> bool:
    """Tell whether a job may have another attempt, whose result is the one that counts."""
    return record.launched_attempt > 1 or goes_again(record.resources)
