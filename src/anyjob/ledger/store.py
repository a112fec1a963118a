"""The ledger: the durable record of every job, in SQLite.

Jobs of one ``run_many`` share a row of ``bulks``: what they have in common is stored once. The first
final state of a job that is written counts.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from anyjob.errors import StateError
from anyjob.execution import spool
from anyjob.job import JobStatus
from anyjob.ledger.database import LedgerFile
from anyjob.ledger.queries import JOINED, Search
from anyjob.ledger.rows import (
    CODE,
    FINAL,
    STATES,
    BackendRow,
    Context,
    NewJob,
    Row,
    as_column,
    decode_outcome,
    decode_resources,
    encode_outcome,
    encode_resources,
    of_column,
)
from anyjob.specs import Outcome

__all__ = [
    "CODE",
    "FINAL",
    "STATES",
    "BackendRow",
    "Context",
    "Ledger",
    "NewJob",
    "Row",
    "chunks",
    "decode_outcome",
    "decode_resources",
    "encode_outcome",
    "encode_resources",
]

CHUNK = 500
"""Ids in one statement: below SQLite's own limit on parameters, in any build of it."""

OPEN = ",".join(map(str, range(FINAL)))
"""The states that are not final."""

T = TypeVar("T")


class Ledger:
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
        self._file = LedgerFile(Path(state), durability)
        self.state = self._file.state
        self.path = self._file.path
        self._backends: dict[str, int] = {}
        self._opened = 0

    @property
    def exists(self) -> bool:
        """Whether anything was ever written: asking does not make the file."""
        return self._file.exists

    def require_full(self) -> None:
        """Have what is written from now on survive the death of the machine: ``durability = "full"``."""
        self._file.require_full()

    def transaction(self, work: Callable[[], T]) -> T:
        """Do what ``work`` does with this ledger all or none of it; it may be called a second time."""
        return self._file.write(lambda db: work())

    def close(self) -> None:
        """Close the connection of this process; the next use opens it anew."""
        self._file.close()

    # --- writing ------------------------------------------------------------------------------

    def backend(self, row: BackendRow) -> int:
        """Return the number of a backend, which gets one when it is seen for the first time."""
        number = self._backends.get(row.fingerprint) if self._opened == self._file.opened else None
        if number is None:
            number = self._file.write(lambda db: _number_of(db, row))
            if self._opened != self._file.opened:
                self._backends.clear()
                self._opened = self._file.opened
            self._backends[row.fingerprint] = number
        return number

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
        created: float | None = None,
    ) -> int:
        """Write the jobs of one bulk, all or none; return the bulk's number.

        The backend's number is good for one ledger file: ask for it in the same `transaction`.
        """
        created = time.time() if created is None else created

        def write(db: sqlite3.Connection) -> int:
            if db.execute("SELECT 1 FROM backends WHERE n = ?", (backend,)).fetchone() is None:
                raise StateError(f"the ledger {self.path} was replaced a moment ago: submit once more")
            first = _last_number(db) + 1
            bulk = db.execute(
                "INSERT INTO bulks (backend, kind, native, name, created, first, last, context, shared) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (backend, kind, native, as_column(name), created, first, first + len(jobs) - 1,
                 msgspec.msgpack.encode(context), shared),
            ).lastrowid  # fmt: skip
            assert bulk is not None
            if tags:
                rows = [(bulk, as_column(key), as_column(value)) for key, value in tags.items()]
                db.executemany("INSERT INTO tags VALUES (?, ?, ?)", rows)
            code = CODE[state]
            db.executemany(
                "INSERT INTO jobs (n, id, bulk, backend, state) VALUES (?, ?, ?, ?, ?)",
                ((n, job.job_id, bulk, backend, code) for n, job in enumerate(jobs, first)),
            )
            db.executemany(
                "INSERT INTO work VALUES (?, ?, ?)",
                ((n, job.payload, job.spec) for n, job in enumerate(jobs, first)),
            )
            noted = [(n, json.dumps(job.notes)) for n, job in enumerate(jobs, first) if job.notes]
            if noted:
                db.executemany("INSERT INTO notes VALUES (?, ?)", noted)
            return bulk

        return self._file.write(write)

    def launched(self, native_ids: Mapping[str, str]) -> None:
        """The engine has taken jobs: note its ids of them."""
        sql = "UPDATE jobs SET native_id = ?, state = max(state, 1) WHERE id = ?"
        self._write_many(sql, [(native, job_id) for job_id, native in native_ids.items()])

    def moved(self, moves: Iterable[tuple[str, JobStatus, int, float | None]]) -> None:
        """Note where jobs that have not ended are now: id, status, attempt, when it started to run.

        Only a new attempt takes a job from RUNNING back; what is older than what is known is left out.
        """
        running = CODE[JobStatus.RUNNING]
        sql = (
            "UPDATE jobs SET state = ?2, attempt = ?3, "
            "started = CASE WHEN attempt = ?3 THEN coalesce(started, ?4) ELSE ?4 END "
            f"WHERE id = ?1 AND state < {FINAL} "
            f"AND (attempt < ?3 OR (attempt = ?3 AND (state <> {running} OR ?2 = {running})))"
        )
        self._write_many(
            sql, [(job_id, CODE[to], attempt, started) for job_id, to, attempt, started in moves]
        )

    def settle(self, outcomes: Mapping[str, Outcome]) -> None:
        """Note what came of jobs; the first outcome of a job counts, since final is final."""
        now = time.time()
        sql = (
            "UPDATE jobs SET state = ?, attempt = ?, started = coalesce(?, started), finished = ?, "
            f"reason = ?, outcome = ? WHERE id = ? AND state < {FINAL}"
        )
        self._write_many(
            sql,
            [
                (CODE[o.status], o.attempt, o.started, now if o.finished is None else o.finished, o.reason,
                 encode_outcome(o), job_id)
                for job_id, o in outcomes.items()
            ],
        )  # fmt: skip

    def tell(self, job_ids: Sequence[str]) -> list[str]:
        """Claim the telling of jobs' ends; return those that nobody had claimed before."""
        return self._file.write(
            lambda db: [
                row[0]
                for some in chunks(job_ids)
                for row in db.execute(
                    f"UPDATE jobs SET told = 1 WHERE told = 0 AND state >= {FINAL} "
                    f"AND id IN ({_marks(some)}) RETURNING id",
                    some,
                ).fetchall()
            ]
        )

    def remove(self, job_ids: Sequence[str]) -> list[str]:
        """Forget jobs, and bulks that none is left of; return the environment files that these had."""
        return self._file.write(lambda db: [path for some in chunks(job_ids) for path in _remove(db, some)])

    def _write_many(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        if values:
            self._file.write(lambda db: db.executemany(sql, values))

    # --- reading ------------------------------------------------------------------------------

    def rows(self, job_ids: Sequence[str]) -> dict[str, Row]:
        """Return what is known of these jobs, by id; those that are not known are left out."""
        found: dict[str, Row] = {}
        for some in chunks(job_ids):
            for values in self._file.read(f"{JOINED} WHERE j.id IN ({_marks(some)})", some):
                found[values[1]] = Row(*values)
        return found

    def by_prefix(self, prefix: str, limit: int = 10) -> list[str]:
        """Return ids that begin with a prefix."""
        sql = "SELECT id FROM jobs WHERE id >= ? AND id < ? LIMIT ?"
        return [row[0] for row in self._file.read(sql, (prefix, prefix + "g", limit))]  # ids are hexadecimal

    def by_native_id(self, backend: int, native_id: str) -> str | None:
        """Return our id of the job that a backend knows by this id, or of which this is our id."""
        found = self._file.read("SELECT id FROM jobs WHERE id = ? AND backend = ?", (native_id, backend))
        found = found or self._file.read(
            "SELECT id FROM jobs WHERE native_id = ? AND native_id <> id AND backend = ? "
            "ORDER BY n DESC LIMIT 1",
            (native_id, backend),
        )
        return found[0][0] if found else None

    def with_native_id(self, native_id: str, limit: int = 10) -> list[str]:
        """Return our ids of the jobs that some backend knows by this id."""
        sql = "SELECT id FROM jobs WHERE native_id = ? AND native_id <> id LIMIT ?"
        return [row[0] for row in self._file.read(sql, (native_id, limit))]

    def select(
        self,
        *,
        name: str | None = None,
        states: Sequence[JobStatus] | None = None,
        backend: str | int | None = None,
        tags: Mapping[str, str] | None = None,
        since: float | None = None,
        before: float | None = None,
        limit: int | None = None,
    ) -> list[Row]:
        """Return the newest jobs that fit, oldest first.

        Args:
            name: of this name.
            states: in one of these.
            backend: given to the backend of this label, type or number.
            tags: with all of these.
            since: submitted at this time or later, in seconds since 1970.
            before: ended before this time.
            limit: how many at most.
        """
        numbers = (
            self._numbers(backend) if isinstance(backend, str) else [backend] if backend is not None else None
        )
        search = Search(
            self._file.read,
            name=name,
            states=states,
            backends=numbers,
            tags=tags,
            since=since,
            before=before,
            limit=limit,
        )
        return self._file.at_once(search.rows)

    def _numbers(self, called: str) -> list[int]:
        sql = "SELECT n FROM backends WHERE label = ? OR type = ?"
        return [row[0] for row in self._file.read(sql, (called, called))]

    def ended_before(self, before: float, after: int = 0, limit: int = CHUNK) -> list[tuple[int, str]]:
        """Return jobs that ended before a time: n and id, in the order of n, from the one after ``after``."""
        sql = f"SELECT n, id FROM jobs WHERE n > ? AND state >= {FINAL} AND finished < ? ORDER BY n LIMIT ?"
        return self._file.read(sql, (after, before, limit))

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in each state that has any, by its name."""
        found = self._file.read("SELECT state, count(*) FROM jobs GROUP BY state")
        return {STATES[code].name: number for code, number in found}

    def queued(self, backend: int, after: int, limit: int) -> list[tuple[int, str, int, int, bytes | None]]:
        """Return jobs of a backend that wait, oldest first: n, id, bulk, attempt, payload."""
        return self._file.read(
            "SELECT j.n, j.id, j.bulk, j.attempt, w.payload FROM jobs j LEFT JOIN work w ON w.n = j.n "
            "WHERE j.backend = ? AND j.state = 1 AND j.n > ? ORDER BY j.n LIMIT ?",
            (backend, after, limit),
        )

    def open_backends(self, host: str) -> list[int]:
        """Return the numbers of a host's own backends that have jobs which have not ended."""
        sql = (
            "SELECT b.n FROM backends b WHERE b.host = ? AND EXISTS "
            f"(SELECT 1 FROM jobs j WHERE j.backend = b.n AND j.state < {FINAL})"
        )
        return [row[0] for row in self._file.read(sql, (host,))]

    def in_state(self, backend: int, status: JobStatus) -> list[tuple[str, int]]:
        """Return id and attempt of the jobs of a backend that are in one state."""
        sql = "SELECT id, attempt FROM jobs WHERE backend = ? AND state = ? ORDER BY n"
        return self._file.read(sql, (backend, CODE[status]))

    def open_in_bulk(self, bulk: int) -> int:
        """Return how many jobs of a bulk have not ended."""
        sql = (
            "SELECT count(*) FROM bulks k CROSS JOIN jobs j INDEXED BY jobs_state ON j.backend = k.backend "
            f"AND j.state IN ({OPEN}) AND j.n BETWEEN k.first AND k.last WHERE k.n = ?"
        )
        return int(self._file.read(sql, (bulk,))[0][0])

    def open_environments(self) -> set[str]:
        """Return the environment files of the bulks that have jobs which have not ended."""
        bulks = self._file.read(
            "SELECT DISTINCT j.bulk FROM backends b CROSS JOIN jobs j INDEXED BY jobs_state "
            f"ON j.backend = b.n AND j.state IN ({OPEN})"
        )
        return {self.bulk(row[0])[0].environment for row in bulks}

    def bulk(self, number: int) -> tuple[Context, str, bytes | None]:
        """Return what the jobs of a bulk share: context, native kind, shared payload."""
        found = self._file.read("SELECT context, native, shared FROM bulks WHERE n = ?", (number,))
        if not found:
            raise StateError(f"bulk {number} is not in the ledger {self.path} any more")
        context, native, shared = found[0]
        return msgspec.msgpack.decode(context, type=Context), native, shared

    def tags(self, bulk: int) -> dict[str, str]:
        """Return the tags that the jobs of a bulk have."""
        found = self._file.read("SELECT key, value FROM tags WHERE bulk = ?", (bulk,))
        return {of_column(key): of_column(value) for key, value in found}

    def work(self, job_id: str) -> tuple[bytes | None, bytes | None]:
        """Return a job's native payload, and the pickled spec that it was lowered from."""
        sql = "SELECT w.payload, w.spec FROM jobs j JOIN work w ON w.n = j.n WHERE j.id = ?"
        found = self._file.read(sql, (job_id,))
        return found[0] if found else (None, None)

    def notes(self, job_id: str) -> dict[str, str]:
        """Return what plugins noted of a job when it was submitted."""
        sql = "SELECT o.notes FROM jobs j JOIN notes o ON o.n = j.n WHERE j.id = ?"
        found = self._file.read(sql, (job_id,))
        return json.loads(found[0][0]) if found else {}

    def spools(self) -> set[Path]:
        """Return the directories below which jobs have theirs: our own, and those of the option ``spool``."""
        options = [json.loads(text) for (text,) in self._file.read("SELECT options FROM backends")]
        configured = {known["spool"] for known in options if isinstance(known.get("spool"), str)}
        return {spool.root(self.state, path) for path in (None, *configured)}

    def backend_row(self, number: int) -> BackendRow:
        """Return which backend has this number."""
        sql = "SELECT fingerprint, label, type, distribution, options, host FROM backends WHERE n = ?"
        found = self._file.read(sql, (number,))
        if not found:
            raise StateError(f"backend {number} is not in the ledger {self.path} any more")
        fingerprint, label, type_name, distribution, options, host = found[0]
        return BackendRow(fingerprint, label, type_name, distribution, json.loads(options), host)


def _number_of(db: sqlite3.Connection, row: BackendRow) -> int:
    db.execute(
        "INSERT INTO backends (fingerprint, label, type, distribution, options, host) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO UPDATE SET label = excluded.label",
        (row.fingerprint, row.label, row.type, row.distribution, json.dumps(row.options), row.host),
    )
    found = db.execute("SELECT n FROM backends WHERE fingerprint = ?", (row.fingerprint,)).fetchone()
    return int(found[0])


def _last_number(db: sqlite3.Connection) -> int:
    """Return the highest number that a job was ever given."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
    return 0 if found is None else int(found[0])


def _remove(db: sqlite3.Connection, job_ids: Sequence[str]) -> list[str]:
    found = db.execute(f"SELECT n, bulk FROM jobs WHERE id IN ({_marks(job_ids)})", job_ids).fetchall()
    numbers = [(n,) for n, _ in found]
    db.executemany("DELETE FROM jobs WHERE n = ?", numbers)
    db.executemany("DELETE FROM work WHERE n = ?", numbers)
    db.executemany("DELETE FROM notes WHERE n = ?", numbers)
    environments = []
    for bulk in {bulk for _, bulk in found}:
        left = (
            "SELECT 1 FROM bulks k CROSS JOIN jobs j ON j.n BETWEEN k.first AND k.last WHERE k.n = ? LIMIT 1"
        )
        if db.execute(left, (bulk,)).fetchone() is None:
            gone = db.execute("DELETE FROM bulks WHERE n = ? RETURNING context", (bulk,)).fetchall()
            db.execute("DELETE FROM tags WHERE bulk = ?", (bulk,))
            environments += [msgspec.msgpack.decode(row[0], type=Context).environment for row in gone]
    return [path for path in environments if path]


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Cut a sequence into parts of a size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _marks(items: Sequence[Any]) -> str:
    return ",".join("?" * len(items))
