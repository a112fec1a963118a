"""Keeps the ledger for the jobs of one durable backend: what is written when, and read back."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anyjob.errors import AnyjobError, PluginError
from anyjob.ledger.encoding import (
    Context,
    encode_resources,
    make_writable,
    outcome_of,
)
from anyjob.ledger.end_effects import NOTHING
from anyjob.ledger.file.statedir import cannot_write
from anyjob.ledger.identity import HOST, identity
from anyjob.ledger.rows import ATTACHED, BLOCKED, DUE, FINAL, RELEASED, BackendRow, NewJob, Row, Summary
from anyjob.ledger.store import Ledger
from anyjob.outcome import Outcome
from anyjob.runtime.recording.entry import Entry, clear, let_go
from anyjob.runtime.recording.recorder import Deferred, Entered, Recorder
from anyjob.runtime.recording.stored_work import StoredWork
from anyjob.spool import job_spool
from anyjob.spool.outcomes import FORGOTTEN
from anyjob.status import JobStatus
from anyjob.tracking.records import NEVER, JobRecord

GOES_AGAIN = (DUE, RELEASED)
"""The states of a job between two attempts at an engine."""
ABOUT_TO_START = "has all that it starts after, and is about to be handed over"
"""What is said of a job that no engine has yet, though it waits for no other any more."""
SEEN_TO = 5.0
"""Seconds between two times that somebody who waits sees to it that what he waits for is released."""


def _machine(row: BackendRow) -> tuple[Any, ...]:
    """Return what tells a machine of an account, whatever its user calls it and has it do."""
    return row.type, row.distribution, row.account, row.options.get("provider"), row.host


class LedgerRecorder(Recorder):
    """The ledger, as one durable backend writes and reads it."""

    def __init__(self, ledger: Ledger, backend: Any) -> None:
        self.ledger = ledger
        self.identity = identity(backend)
        self.spool = ledger.state / "spool"
        self._backend = backend
        self._seen_to_releases = -SEEN_TO
        self._durable = getattr(backend.options, "durability", "") == "full"
        if self._durable:
            ledger.require_full()
        self.stored_work = StoredWork(ledger, self.spool, backend, durable=self._durable)

    @property
    def number(self) -> int:
        """The number that this backend has in the ledger."""
        return self.ledger.backend(self.identity)

    def enter(self, records: Sequence[JobRecord]) -> Entered:
        """Write jobs before the engine hears of them: all of them, or none.

        Raises:
            BackendUnavailableError: some start after others, and nobody is there to see to that.
            SerializationError: something in the work cannot be pickled.
            StateError: they cannot be written.
        """
        return Entry(self.ledger, self._backend, self.identity, self.stored_work).write(records)

    def handed_over(self, entered: Entered) -> None:
        """Those who do not know of the jobs that were entered may take them for lost by and by."""
        let_go(self.ledger, entered.handing)

    def being_handed_over(self, job_ids: Sequence[str]) -> Collection[str]:
        """Return those whose bulk another process, or another thread, is giving to the engine."""
        from anyjob.ledger import handover_locks

        bulks = {job_id: row.bulk for job_id, row in self.ledger.rows(job_ids).items()}
        held = handover_locks.held_of(self.ledger.state, set(bulks.values()))
        return {job_id for job_id, bulk in bulks.items() if bulk in held}

    def deferred(self, job_ids: Sequence[str]) -> Mapping[str, Deferred]:
        """Read what has become of jobs that start after others."""
        rows = self.ledger.rows(job_ids)
        blocked = [job_id for job_id, row in rows.items() if row.state == BLOCKED]
        awaited = self.ledger.dependencies.awaited(blocked) if blocked else {}
        waiting = [job_id for job_id, row in rows.items() if row.state == DUE]
        due = self.ledger.attempts.due(waiting) if waiting else {}
        several = [row for row in rows.values() if row.attempt > 1]
        launched = self.ledger.attempts.launched_attempts(several) if several else {}
        found: dict[str, Deferred] = {}
        for job_id in job_ids:
            row = rows.get(job_id)
            if row is None:
                found[job_id] = Deferred(
                    outcome=Outcome(status=JobStatus.ERROR, reason="lost", message=FORGOTTEN)
                )
            elif row.state >= FINAL:
                found[job_id] = Deferred(
                    native_id=row.native_id,
                    attempt=row.attempt,
                    launched_attempt=launched.get(job_id, 1),
                    outcome=outcome_of(row),
                )
            elif row.state < 0:
                message = ABOUT_TO_START
                if job_id in awaited:
                    message = awaited[job_id].in_words()
                elif job_id in due:
                    message = due[job_id].in_words(time.time())
                found[job_id] = Deferred(True, message, attempt=row.attempt)
            else:
                found[job_id] = Deferred(
                    native_id=row.native_id,
                    attempt=row.attempt,
                    launched_attempt=launched.get(job_id, 1),
                )
        now = time.monotonic()
        if now >= self._seen_to_releases + SEEN_TO and any(each.waits for each in found.values()):
            self._seen_to_releases = now
            with suppress(AnyjobError):  # who releases them may have been killed, or the machine started anew
                self._backend.services.look_after_releases()
        return found

    def gone_on(self, native_ids: Mapping[str, str | None]) -> Collection[str]:
        """Return those of these jobs that have ended or gone again, as others have seen."""
        if self._backend.queues_in_ledger:
            return ()
        rows = self.ledger.rows(list(native_ids))
        return [
            job_id
            for job_id, row in rows.items()
            if row.state >= FINAL
            or row.state in GOES_AGAIN
            or row.native_id not in (None, native_ids[job_id])
        ]

    def cancel_deferred(self, job_ids: Sequence[str]) -> Sequence[str]:
        """Cancel jobs that have not been given to the engine yet."""
        from anyjob.ledger.releasing.releases import Releases

        cancelled = Releases(self.ledger, HOST).cancel(job_ids, time.time())
        if cancelled.effects != NOTHING:
            self._backend.services.advance(cancelled.effects)
        return [*cancelled.ended, *cancelled.claimed]

    def attached(self, record: JobRecord) -> str:
        """Enter a job that others have submitted, unless it is one of ours already; return our id of it.

        It may have been entered by another process, or under another name of the same machine of an account.

        Raises:
            StateError: it cannot be written.
        """
        native_id, resources = record.native_id or "", record.resources
        job = NewJob(record.job_id, None, summary=Summary(f"{native_id}, submitted elsewhere"))
        context = Context((ATTACHED,), encode_resources(resources))

        def enter() -> str:
            number = self.number
            for each in (number, *self._other_names()):
                known = self.ledger.by_native_id(each, native_id)
                if known is not None:
                    return known
            called: dict[str, Any] = {"name": resources.name, "tags": resources.tags}
            self.ledger.add(number, [job], kind=ATTACHED, native=ATTACHED, context=context, **called)
            self.ledger.launched({record.job_id: native_id})
            return record.job_id

        return self.ledger.transaction(enter)

    def _other_names(self) -> list[int]:
        """Return the numbers of what is this machine of this account, too, with other options of its own."""
        rows = self.ledger.backend_rows() if "/" in self.identity.type else {}
        own = _machine(self.identity)
        return [number for number, row in rows.items() if number != self.number and _machine(row) == own]

    def entered(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of these jobs that stand in the ledger.

        Raises:
            StateError: it cannot be read.
        """
        return list(self.ledger.rows(job_ids))

    def launched(self, native_ids: Mapping[str, str], attempts: Mapping[str, int]) -> None:
        """Note the engine's ids, before ``run`` returns."""
        if native_ids and not self._backend.queues_in_ledger:
            self.ledger.launched(native_ids, attempts)

    def moved(self, moves: Sequence[tuple[JobRecord, JobStatus]]) -> None:
        """Note where jobs are now."""
        if not self._backend.queues_in_ledger:
            now = time.time()
            self.ledger.moved(
                (record.job_id, status, record.attempt, now if status is JobStatus.RUNNING else None)
                for record, status in moves
            )

    def settled(
        self, outcomes: Mapping[str, Outcome], native_ids: Mapping[str, str | None]
    ) -> Mapping[str, Outcome]:
        """Note what came of attempts of jobs; what is too large for the ledger is kept in the spool.

        Args:
            outcomes: what came of them.
            native_ids: what the engine calls these attempts.

        Returns:
            the outcomes as the ledger has them, less those of jobs that go again: one that it cannot hold
            says so.

        Raises:
            StateError: it cannot be written.
        """
        if self._backend.queues_in_ledger:
            return outcomes
        for job_id, outcome in outcomes.items():
            self._keep_large(job_id, outcome)
        try:
            effects = self.ledger.settle(outcomes, native_ids)
        except (AnyjobError, OSError):
            raise
        except Exception:  # what pickle makes of a value is not to be foreseen
            outcomes = {job_id: make_writable(outcome) for job_id, outcome in outcomes.items()}
            effects = self.ledger.settle(outcomes, native_ids)
        if effects != NOTHING:
            self._backend.services.advance(effects)
        if effects.again or effects.stale:
            gone = {each.job_id for each in effects.again} | set(effects.stale)
            return {job_id: outcome for job_id, outcome in outcomes.items() if job_id not in gone}
        return outcomes

    def stop_attempts(self, job_ids: Sequence[str]) -> Sequence[str]:
        """Have jobs that are about to be cancelled not go again; return those that this has ended."""
        again = () if self._backend.queues_in_ledger else self.ledger.attempts.may_go_again(job_ids)
        if not again:
            return ()
        self.ledger.cancel_accepted(again)
        return self.cancel_deferred(again)

    def allow_attempts(self, job_ids: Sequence[str]) -> None:
        """Have jobs that could not be cancelled go again as before."""
        again = () if self._backend.queues_in_ledger else self.ledger.attempts.may_go_again(job_ids)
        if again:
            self.ledger.cancel_refused(again)

    def ended_attempts(self, job_id: str) -> Sequence[tuple[int, str, Outcome]]:
        """Read what came of the attempts that were followed by others."""
        found = self.ledger.attempts.ended(job_id)
        return [(each.attempt, each.kind, each.outcome) for each in found]

    def _keep_large(self, job_id: str, outcome: Outcome) -> None:
        root = self._backend.spool_root
        try:
            job_spool.keep_large(root, job_id, outcome, durable=self._durable)
        except OSError as error:
            raise cannot_write(job_spool.path_of(root, job_id), error) from error

    def claim_finished(self, job_id: str) -> bool:
        """Claim to tell the hooks that a job has finished; return whether nobody had before."""
        return bool(self.ledger.claim_finished([job_id]))

    def remove(self, job_ids: Sequence[str]) -> None:
        """Forget jobs that never came to be."""
        clear(self.ledger, self._backend, job_ids, self.ledger.remove(job_ids))

    def notes(self, job_id: str) -> Mapping[str, str]:
        """Return what plugins noted of a job when it was submitted."""
        return self.ledger.notes(job_id)

    def parent(self, job_id: str) -> str:
        """Return the id of the job that has submitted one of the ledger; empty where none has."""
        row = self.ledger.rows([job_id]).get(job_id)
        return "" if row is None else self.ledger.bulk(row.bulk)[0].parent

    def work(self, job_id: str) -> str:
        """Return in a line what a job of the ledger does."""
        return self.ledger.summaries([job_id]).get(job_id, Summary()).work

    def submitted_from(self, job_id: str) -> str:
        """Return the directory that a job of the ledger was submitted from."""
        row = self.ledger.rows([job_id]).get(job_id)
        return "" if row is None else os.fsdecode(self.ledger.bulk(row.bulk)[0].cwd)

    def row(self, job_id: str) -> Row | None:
        """Return the row of the job of this id, ours or the engine's, if this backend was given it."""
        ours = self.ledger.by_native_id(self.number, job_id)
        return None if ours is None else self.ledger.rows([ours])[ours]

    def fill(self, record: JobRecord, row: Row) -> None:
        """Fill a record with what the ledger knows."""
        record.native_id = row.native_id or row.job_id if self._backend.queues_in_ledger else row.native_id
        record.attempt, record.name = row.attempt, row.name
        record.submitted = row.submitted
        record.status = row.status
        if row.attempt > 1 and not self._backend.queues_in_ledger:
            record.launched_attempt = self.ledger.attempts.launched_attempts([row]).get(row.job_id, 1)
        if not self._backend.queues_in_ledger:
            record.heard_at = NEVER  # who heard it, and when, is not written down
        record.deferred = row.state < 0 and row.native_id is None and not self._backend.queues_in_ledger
        if row.state >= FINAL:
            record.outcome = outcome_of(row)


def record_of_row(backend: Any, row: Row) -> JobRecord:
    """Return the record of a job, filled from its row in the ledger."""
    recorder = backend.recorder
    assert isinstance(recorder, LedgerRecorder)
    job_id, bulk, stored = row.job_id, row.bulk, recorder.stored_work
    kind, native = row.kind, row.native
    if kind == ATTACHED:
        from anyjob.runtime.attachment import kind_of_others

        kind = native = kind_of_others(backend)
    try:
        backend.services.job_type(kind)
    except PluginError:
        kind = ""  # its plugin is gone: it is shown as a job of no particular kind
    record = JobRecord(backend._tracker, job_id, kind, native, lambda: stored.load(job_id, bulk))
    record.is_ours = row.kind != ATTACHED
    recorder.fill(record, row)
    if record.outcome is None and record.native_id is None and not record.deferred:
        # Whoever submitted it was gone, or is not yet done: the engine may have it or not.
        record.unsure, record.missing_since = True, time.monotonic()
    return record
