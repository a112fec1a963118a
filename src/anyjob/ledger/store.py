"""The ledger: the durable record of every job, in SQLite.

Jobs of one ``run_many`` share a row of ``bulks``: what they have in common is stored once. The first
final state of a job that is written counts.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from anyjob.errors import StateError
from anyjob.ledger.end_effects import NOTHING, EndEffects
from anyjob.ledger.file.database import LedgerFile
from anyjob.ledger.file.sql_lists import chunks, placeholders
from anyjob.ledger.reading.reader import LedgerReader
from anyjob.ledger.rows import (
    CANCELLING,
    CODE,
    FINAL,
    HELD,
    WAITING,
    BackendRow,
    NewJob,
    as_column,
)
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.ledger.encoding import Context
    from anyjob.outcome import Outcome

T = TypeVar("T")


class Ledger(LedgerReader):
    """The ledger below one state directory; used by many processes and threads at once.

    Its methods raise `StateError` where it cannot be read or written.

    Args:
        state: the state directory; made when it is missing.
        durability: ``normal``: what is written survives the death of any process; ``full``: that of
            the machine too, at the price of a flush to disk for each write.

    Raises:
        StateError: the directory cannot be made, is somebody else's, or others may write to it.
    """

    def __init__(self, state: Path, durability: str = "normal") -> None:
        super().__init__(LedgerFile(Path(state), durability))
        self._backends: dict[str, int] = {}
        self._opened = 0

    def require_full(self) -> None:
        """Have what is written from now on survive the death of the machine: ``durability = "full"``."""
        self.file.require_full()

    def transaction(self, work: Callable[[], T]) -> T:
        """Do what ``work`` does with this ledger all or none of it; it may be called a second time."""
        return self.file.write(lambda db: work())

    def close(self) -> None:
        """Close the connection of this process; the next use opens it anew."""
        self.file.close()

    def backend(self, row: BackendRow) -> int:
        """Return the number of a backend, which gets one when it is seen for the first time."""
        number = self._backends.get(row.fingerprint) if self._opened == self.file.opened else None
        if number is None:
            # Who only looks at jobs writes nothing, nor waits for others who do.
            found = number = self._as_it_stands(row) or self.file.write(lambda db: _number_of(db, row))
            self.file.after_commit(lambda: self._keep_number(row, found))
        return number

    def _as_it_stands(self, row: BackendRow) -> int | None:
        """Return the number of a backend of which nothing is to be written; None for another."""
        sql = "SELECT n, label FROM backends WHERE fingerprint = ?"
        found = [] if row.account else self.file.read(sql, (row.fingerprint,))
        return int(found[0][0]) if found and found[0][1] == row.label else None

    def _keep_number(self, row: BackendRow, number: int) -> None:
        if self._opened != self.file.opened:
            self._backends.clear()
            self._opened = self.file.opened
        self._backends[row.fingerprint] = number

    def add(
        self,
        backend: int,
        jobs: Sequence[NewJob],
        *,
        kind: str,
        native: str,
        context: Context,
        name: str = "",
        tags: Mapping[str, str] | None = None,
        shared: bytes | None = None,
        state: JobStatus = JobStatus.INITIALIZING,
        again: bool | None = None,
        created: float | None = None,
    ) -> EndEffects:
        """Write the jobs of one bulk, all or none; return what has become of those that start after others.

        The backend's number is good for one ledger file: ask for it in the same `transaction`. Whether there
        may be several attempts of them, ``again``, follows from what they were given where it is not said.

        Raises:
            JobNotFoundError: one is to start after a job that is not in the ledger.
        """
        from anyjob.ledger import bulks
        from anyjob.ledger.encoding import decode_resources, encode_context

        if again is None:
            from anyjob.resources import goes_again

            again = goes_again(decode_resources(context.resources))
        created = time.time() if created is None else created

        def write(db: sqlite3.Connection) -> EndEffects:
            if db.execute("SELECT 1 FROM backends WHERE n = ?", (backend,)).fetchone() is None:
                raise StateError(f"the ledger {self.path} was replaced a moment ago: submit once more")
            columns = {
                "backend": backend,
                "kind": kind,
                "native": native,
                "name": as_column(name),
                "created": created,
                "context": encode_context(context),
                "shared": shared,
                "again": again,
            }
            return bulks.enter(db, jobs, columns, tags or {}, CODE[state])

        return self.file.write(write)

    def launched(self, native_ids: Mapping[str, str], attempts: Mapping[str, int] | None = None) -> None:
        """The engine has taken jobs: note its ids of them.

        It may be noted late: of an attempt that has ended by then, and is followed by another, it is not.

        Args:
            native_ids: what it calls them.
            attempts: the numbers of the attempts that it was given, where those are not the first.
        """
        sql = (
            "UPDATE jobs SET native_id = ?, state = max(state, 1) WHERE id = ? AND NOT EXISTS "
            "(SELECT 1 FROM attempts a WHERE a.n = jobs.n AND a.attempt >= ? AND a.kind <> 'requeue')"
        )
        numbers = attempts or {}
        self._write_many(
            sql, [(native, job_id, numbers.get(job_id, 1)) for job_id, native in native_ids.items()]
        )

    def moved(self, moves: Iterable[tuple[str, JobStatus, int, float | None]]) -> None:
        """Note where jobs that have not ended are now: id, status, attempt, when it started to run.

        Only a new attempt takes a job from RUNNING back; what is older than what is known is left out.
        """
        running = CODE[JobStatus.RUNNING]
        sql = (
            "UPDATE jobs SET state = ?2, attempt = ?3, "
            "started = CASE WHEN attempt = ?3 THEN coalesce(started, ?4) ELSE ?4 END, "
            f"reason = CASE WHEN attempt = ?3 AND reason IS NOT '{HELD}' THEN reason END "
            f"WHERE id = ?1 AND state < {FINAL} "
            f"AND (attempt < ?3 OR (attempt = ?3 AND (state <> {running} OR ?2 = {running})))"
        )
        values = [(job_id, CODE[to], attempt, started) for job_id, to, attempt, started in moves]
        later = {job_id: attempt for job_id, _, attempt, _ in values if attempt > 1}

        def move(db: sqlite3.Connection) -> None:
            if later:
                from anyjob.ledger import retries

                retries.note_restarts(db, later, time.time())
            db.executemany(sql, values)

        if values:
            self.file.write(move)

    def cancel_accepted(self, job_ids: Sequence[str]) -> None:
        """Note that a cancel of jobs is accepted that have not ended: they do not run again."""
        sql = f"UPDATE jobs SET reason = ? WHERE id = ? AND state < {FINAL}"
        self._write_many(sql, [(CANCELLING, job_id) for job_id in job_ids])

    def cancel_refused(self, job_ids: Sequence[str]) -> None:
        """Note that a cancel of jobs, as was to be accepted, was not."""
        sql = f"UPDATE jobs SET reason = NULL WHERE id = ? AND state < {FINAL} AND reason = '{CANCELLING}'"
        self._write_many(sql, [(job_id,) for job_id in job_ids])

    def let_go(self, job_ids: Sequence[str]) -> EndEffects:
        """Have what starts after these jobs wait for them no more, unless it needs their results."""
        from anyjob.ledger import dependencies

        return self.file.write(lambda db: dependencies.let_go(db, job_ids, time.time()))

    def set_options(self, backend: int, options: Mapping[str, Any]) -> None:
        """Have these options of a backend hold in place of those that it was made with, and no others."""
        import json

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM settings WHERE backend = ?", (backend,))
            if options:
                db.execute("INSERT INTO settings VALUES (?, ?)", (backend, json.dumps(dict(options))))

        self.file.write(write)

    def hold(self, job_ids: Sequence[str], host: str) -> list[str]:
        """Have those of these jobs of a host that wait not start until they are released; return these."""
        from anyjob.ledger import controls

        return self.file.write(lambda db: controls.hold(db, job_ids, host))

    def release(self, job_ids: Sequence[str], host: str) -> list[str]:
        """Let those of these jobs of a host start that are held; return these."""
        from anyjob.ledger import controls

        return self.file.write(lambda db: controls.release(db, job_ids, host))

    def pause(self, job_ids: Sequence[str], host: str) -> list[str]:
        """Note that those of these jobs of a host are paused that run; return these."""
        from anyjob.ledger import controls

        return self.file.write(lambda db: controls.pause(db, job_ids, host))

    def resume(self, job_ids: Sequence[str], host: str) -> list[str]:
        """Note that those of these jobs of a host go on that are paused; return these."""
        from anyjob.ledger import controls

        return self.file.write(lambda db: controls.resume(db, job_ids, host))

    def set_priority(self, job_ids: Sequence[str], host: str, priority: int) -> list[str]:
        """Give those of these jobs of a host that wait a priority; return these."""
        from anyjob.ledger import controls

        return self.file.write(lambda db: controls.set_priority(db, job_ids, host, priority))

    def cancel_queued(
        self, job_ids: Sequence[str], host: str, finished: float
    ) -> tuple[list[tuple[str, int, int]], EndEffects]:
        """End as CANCELLED those of these jobs that wait for a backend of a host: id, bulk, attempt of each.

        Returns also what that means for jobs that start after these.
        """
        from anyjob.ledger import controls

        return self.file.write(lambda db: controls.cancel_queued(db, job_ids, host, finished))

    def note(self, job_id: str, name: str, text: str) -> None:
        """Note something of a job, beside what plugins have noted of it."""
        import json

        notes = json.dumps({**self.notes(job_id), name: text})
        self._write_many(
            "INSERT OR REPLACE INTO notes SELECT n, ?2 FROM jobs WHERE id = ?1", [(job_id, notes)]
        )

    def note_waiting(self, job_id: str, waits: bool) -> bool:
        """Note that a job that runs waits for others, or goes on; return whether it is one of these."""
        old, new = (None, WAITING) if waits else (WAITING, None)
        sql = f"UPDATE jobs SET reason = ? WHERE id = ? AND state = {CODE[JobStatus.RUNNING]} AND reason IS ?"
        return bool(self.file.write(lambda db: db.execute(sql, (new, job_id, old)).rowcount))

    def none_waits(self, host: str) -> None:
        """Note that no job of a host that runs waits for others, as far as is known."""
        sql = (
            "UPDATE jobs SET reason = NULL WHERE backend IN (SELECT n FROM backends WHERE host = ?) "
            f"AND state = {CODE[JobStatus.RUNNING]} AND reason = ?"
        )
        self._write_many(sql, [(host, WAITING)])

    def settle(
        self, outcomes: Mapping[str, Outcome], native_ids: Mapping[str, str | None] | None = None
    ) -> EndEffects:
        """Note what came of attempts of jobs: a job goes again by its policy, or that is what came of it.

        The first outcome of a job counts, since final is final.

        Args:
            outcomes: what came of attempts, by the ids of the jobs.
            native_ids: what the engine calls these, where it has an id for each attempt.

        Returns:
            which jobs go again, and what it means for those that start after others that these have ended.
        """
        if not outcomes:
            return NOTHING
        from anyjob.ledger import dependencies, retries
        from anyjob.ledger.encoding import encode_outcome

        now = time.time()
        sql = (
            "UPDATE jobs SET state = ?, attempt = ?, started = coalesce(?, started), finished = ?, "
            f"reason = ?, outcome = ? WHERE id = ? AND state < {FINAL}"
        )
        values = {
            job_id: (CODE[o.status], o.attempt, o.started, now if o.finished is None else o.finished,
             o.reason, encode_outcome(o), job_id)
            for job_id, o in outcomes.items()
        }  # fmt: skip
        later = {job_id: o.attempt for job_id, o in outcomes.items() if o.attempt > 1}

        def settle(db: sqlite3.Connection) -> EndEffects:
            if later:
                retries.note_restarts(db, later, now)
            final, again, stale = retries.split(db, outcomes, native_ids or {}, now)
            needed = dependencies.needed_and_open(db, [*final])
            db.executemany(sql, [values[job_id] for job_id in final])
            found = dependencies.advance(db, needed, now) if needed else NOTHING
            return found._replace(again=again, stale=stale) if again or stale else found

        return self.file.write(settle)

    def begin_attempts(self, job_ids: Sequence[str], state: JobStatus) -> list[tuple[str, int]]:
        """Have those of these jobs that go again do so now, in this state; return them, with backends.

        What somebody else has begun meanwhile, or what has ended, is left out: so each attempt begins once.
        """
        from anyjob.ledger import retries

        return self.file.write(lambda db: retries.begin(db, job_ids, CODE[state]))

    def claim_finished(self, job_ids: Sequence[str]) -> list[str]:
        """Claim to tell the hooks that jobs have finished; return those that nobody had claimed before."""
        untold = f"SELECT id FROM jobs WHERE told = 0 AND state >= {FINAL} AND id IN ({{}})"

        def claim(db: sqlite3.Connection) -> list[str]:
            found = [
                row
                for some in chunks(job_ids)
                for row in db.execute(untold.format(placeholders(some)), some).fetchall()
            ]
            db.executemany("UPDATE jobs SET told = 1 WHERE id = ?", found)
            return [job_id for (job_id,) in found]

        return self.file.write(claim)

    def remove(self, job_ids: Sequence[str]) -> list[str]:
        """Forget jobs, and bulks that none is left of; return the environment files that these had."""
        from anyjob.ledger import bulks

        return self.file.write(
            lambda db: [path for some in chunks(job_ids) for path in bulks.remove(db, some)]
        )

    def keys_left(self) -> list[tuple[int]]:
        """Return the numbers of forgotten jobs, of which the keys are left that they were done under."""
        from anyjob.ledger import once

        return self.file.read(once.GONE)

    def forget_keys(self, numbers: Sequence[tuple[int]]) -> None:
        """Forget the keys of those of `keys_left`."""
        from anyjob.ledger import once

        if numbers:
            self.file.write(lambda db: once.forget_gone(db, numbers))

    def purge(self) -> bool:
        """Have what was forgotten in no file of the ledger; return whether that was possible now.

        Another process that reads just then keeps the journal as it is.
        """
        return self.file.purge()

    def _write_many(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        if values:
            self.file.write(lambda db: db.executemany(sql, values))


def _number_of(db: sqlite3.Connection, row: BackendRow) -> int:
    found = db.execute("SELECT n FROM backends WHERE fingerprint = ?", (row.fingerprint,)).fetchone()
    if found is not None:
        db.execute("UPDATE backends SET label = ? WHERE n = ?", (row.label, *found))
        if not row.account:
            return int(found[0])
    import json

    options = json.dumps(row.options)
    if found is not None:  # what its account is called is a label, too
        db.execute("UPDATE backends SET options = ? WHERE n = ?", (options, *found))
        return int(found[0])
    new = (
        "INSERT INTO backends (fingerprint, label, type, distribution, options, host) "
        "VALUES (?, ?, ?, ?, ?, ?)"
    )
    values = (row.fingerprint, row.label, row.type, row.distribution, options, row.host)
    number = db.execute(new, values).lastrowid
    assert number is not None
    return number
