"""Jobs on their way into the ledger, before their engine hears of them: all of one call, or none."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from anyjob import _typing as t
from anyjob.errors import AnyjobError, BackendError
from anyjob.ledger.encoding import Context
from anyjob.ledger.end_effects import EndEffects
from anyjob.ledger.rows import BackendRow, NewJob
from anyjob.ledger.store import Ledger
from anyjob.resources import Resources, goes_again
from anyjob.runtime.recording.context import check_own_directory, to_be_found_again
from anyjob.runtime.recording.recorder import Entered
from anyjob.runtime.recording.stored_work import StoredWork
from anyjob.specs import kind_of
from anyjob.spool import job_spool
from anyjob.status import JobStatus
from anyjob.tracking.records import JobRecord


class _NewBulk(NamedTuple):
    """Jobs that are to be entered, and what they have in common."""

    resources: Resources
    context: Context
    shared: bytes | None
    jobs: list[NewJob]


class Entry:
    """The jobs of one call that are entered.

    Args:
        ledger: where.
        backend: what they are about to be given to.
        identity: what that is for the ledger.
        stored_work: packs their work.
    """

    def __init__(
        self, ledger: Ledger, backend: t.TaskBackend, identity: BackendRow, stored_work: StoredWork
    ) -> None:
        self._ledger = ledger
        self._backend = backend
        self._identity = identity
        self._stored_work = stored_work
        self._handing: set[int] = set()
        """The numbers of the bulks whose locks are held."""

    def write(self, records: Sequence[JobRecord]) -> Entered:
        """Write jobs, all or none; those that are to be done once, and that others have entered, not.

        Raises:
            BackendUnavailableError: some start after others, and nobody is there to see to that.
            SerializationError: something in the work cannot be pickled.
            StateError: they cannot be written.
        """
        is_deferring = not self._backend.queues_in_ledger and any(
            (record.after and not record.kept) or self._may_go_again(record.resources) for record in records
        )
        if is_deferring:
            self._backend.services.look_after_releases()  # who cannot is told before anything is written
        bulks: list[_NewBulk] = []
        try:
            self._pack(records, bulks, is_deferring=is_deferring)
            keyed = {record.job_id: record.once for record in records if record.once is not None}
            effects, taken = self._ledger.transaction(lambda: self._add(bulks, keyed))
        except BaseException as error:
            let_go(self._ledger, self._handing)
            job_ids = [record.job_id for record in records]
            # Ctrl-C may come when they have just been entered, all of them: then they need what is theirs.
            if isinstance(error, Exception) or not self._ledger.rows(job_ids[:1]):
                clear(self._ledger, self._backend, job_ids, [bulk.context.environment for bulk in bulks])
            raise
        if taken:
            whole = [
                bulk.context.environment for bulk in bulks if all(job.job_id in taken for job in bulk.jobs)
            ]
            clear(self._ledger, self._backend, list(taken), whole)
        handing = frozenset(self._handing)
        if not is_deferring:
            ended = [job_id for each in effects for job_id, _ in each.ended]
            if ended:  # what they were to start after has come to something else before
                with suppress(BackendError):
                    self._backend.advance(ended)
            return Entered(taken=taken, handing=handing)
        with suppress(AnyjobError):
            self._backend.services.look_after_releases()
        here = taken.keys() | {job_id for each in effects for job_id, _ in each.released}
        later = (r.job_id for r in records if r.after and not r.kept and r.job_id not in here)
        return Entered(frozenset(later), taken, handing)

    def _pack(self, records: Sequence[JobRecord], bulks: list[_NewBulk], *, is_deferring: bool) -> None:
        """Pack the work of jobs; those of one bulk have the same resources and kind."""
        alike: dict[tuple[int, str], list[JobRecord]] = {}
        for record in records:
            alike.setdefault((id(record.resources), record.kind), []).append(record)
        for some in alike.values():
            resources, route = some[0].resources, tuple(map(kind_of, some[0].specs))
            shared, jobs = self._stored_work.pack(some)
            context = self._backend.context(route, resources)
            if any(record.after and _takes_results(record) for record in some):
                context = msgspec.structs.replace(context, takes_results=True)
            # Results that an engine keeps may be lost: then what was to take them is handed over anew.
            if is_deferring or any(record.kept for record in some):
                context = to_be_found_again(context, self._ledger.state)
            bulks.append(_NewBulk(resources, context, shared, jobs))
            if not context.cwd:
                for record in some:
                    check_own_directory(record.specs[-1])

    def _add(
        self, bulks: Sequence[_NewBulk], keyed: Mapping[str, Any]
    ) -> tuple[list[EndEffects], Mapping[str, str]]:
        number = self._ledger.backend(self._identity)
        entered = []
        taken: dict[str, str] = {}
        for resources, context, shared, jobs in bulks:
            if keyed:
                from anyjob.ledger.once import sift

                known = self._ledger.keyed([keyed[job.job_id].key for job in jobs if job.job_id in keyed])
                jobs = sift(jobs, keyed, known, taken)
                if not jobs:
                    continue
            effects = self._ledger.add(
                number,
                jobs,
                kind=context.route[0],
                native=context.route[-1],
                context=context,
                name=resources.name,
                tags=resources.tags,
                shared=shared,
                again=self._may_go_again(resources),
                state=JobStatus.QUEUED if self._backend.queues_in_ledger else JobStatus.INITIALIZING,
            )
            entered.append(effects)
            if not self._backend.queues_in_ledger:
                self._handing.add(self._hold_bulk_of(jobs[0].job_id))
        return entered, taken

    def _hold_bulk_of(self, job_id: str) -> int:
        """Hold the lock of a job's bulk before others see that; return its number."""
        from anyjob.ledger import handover_locks

        bulk = self._ledger.rows([job_id])[job_id].bulk
        handover_locks.hold(self._ledger.state, bulk)
        return bulk

    def _may_go_again(self, resources: Resources) -> bool:
        """Tell whether it is in the ledger that attempts of a job follow each other."""
        if self._backend.queues_in_ledger:
            return goes_again(resources)
        return resources.retries is not None and resources.retries.times > 0 and not self._backend.runs_again


def _takes_results(record: JobRecord) -> bool:
    """Tell whether results of those that a job starts after are among the arguments of its call."""
    from anyjob.ledger.dependencies import RESULT

    return any(needed.condition == RESULT for needed in record.after)


def let_go(ledger: Ledger, handing: Collection[int]) -> None:
    """Let go of the locks of bulks: the engine was given them, or is not to be."""
    if handing:
        from anyjob.ledger import handover_locks

        handover_locks.let_go(ledger.state, handing)


def clear(
    ledger: Ledger, backend: t.TaskBackend, job_ids: Sequence[str], environments: Sequence[str]
) -> None:
    """Remove what was written beside the ledger for jobs that are not, or no more, in it."""
    roots: set[Path] = {ledger.state / "spool", backend.spool_root}
    for job_id in job_ids:
        for root in roots:
            job_spool.remove(root, job_id)
    for path in filter(None, environments):
        with suppress(FileNotFoundError):
            os.unlink(path)
