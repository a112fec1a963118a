"""What is done about a damaged ledger: it is kept aside, and what is sound of it goes into a new one.

Also taken up is what the spool knows: the outcome that lies in the directory of a job. All of this goes on
from where it was, should the process be killed in the middle. Whoever calls holds the ledger's lock.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from anyjob.errors import StateError
from anyjob.ledger import dependencies
from anyjob.ledger.encoding import Context, decode_outcome, encode_outcome
from anyjob.ledger.file.schema import ASTRAY, MISCOUNTED, NEVER_DUE, REFERENCES, migrate
from anyjob.ledger.file.statedir import is_network
from anyjob.ledger.rows import BLOCKED, CODE, FINAL, FIRST, of_column
from anyjob.outcome import Outcome
from anyjob.outputs.attempts import attempt_id
from anyjob.process.reporting import report
from anyjob.spool import job_spool
from anyjob.status import JobStatus

TABLES = (
    ("backends", "n"),
    ("bulks", "n"),
    ("jobs", "n"),
    ("work", "n"),
    ("tags", "bulk"),
    ("notes", "n"),
    ("attempts", "n"),
    ("reruns", "n"),
    ("summaries", "n"),
    ("dependents", "n"),
    ("dependencies", "prerequisite"),
    ("settings", "backend"),
    ("claims", "n"),
    ("once", "n"),
)
"""Each with the number that its rows lie in the order of."""
COMPANIONS = ("-wal", "-shm", "-journal")
PAGE = 4096
_HEX = re.compile(r"[0-9a-f]{20}")


def replace(path: Path, why: str) -> None:
    """Put a damaged ledger aside, and a new one with what is sound of it in its place; say so."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{number}")
    marker = _marker(path)
    part = marker.with_suffix(".part")
    part.write_text(f"{aside.name}\n{why}")
    part.rename(marker)
    resume(path)


def resume(path: Path) -> None:
    """Go on with what `replace` has begun, if that was cut short."""
    marker = _marker(path)
    try:
        name, _, why = marker.read_text().partition("\n")
    except FileNotFoundError:
        return
    aside = path.with_name(name)
    if not name.startswith(f"{path.name}.damaged-") or aside.parent != path.parent:
        raise StateError(f"{marker} names {name!r}, which is none of ours: look at it, and remove it")
    if path.exists() and not aside.exists():
        path.rename(aside)
    if not path.exists():
        for companion in COMPANIONS:
            with suppress(FileNotFoundError):
                Path(f"{path}{companion}").rename(f"{aside}{companion}")
        _rebuild(path, aside, why)
    marker.unlink()


def _marker(path: Path) -> Path:
    return path.with_name(f"{path.name}.replacing")


def _rebuild(path: Path, aside: Path, why: str) -> None:
    new = path.with_name(f"{path.name}.new")
    for leftover in (new, *(Path(f"{new}{companion}") for companion in COMPANIONS)):
        leftover.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    with closing(sqlite3.connect(new, isolation_level=None)) as db:
        db.execute(f"PRAGMA journal_mode = {'DELETE' if is_network(path.parent) else 'WAL'}")
        migrate(db, path)
        db.execute("BEGIN IMMEDIATE")
        carried, workless = carry_over(aside, db)
        found = take_spools(path.parent / "spool", db)
        db.execute("COMMIT")
    new.rename(path)
    report(
        "the ledger %s is damaged (%s): it is kept as %s; a new one has the %d jobs that could be read "
        "(%d of them without the work that they were handed), and %d outcomes that lay in the spool; jobs "
        "that are in neither are not known any more",
        path, why, aside, carried, workless, found,
    )  # fmt: skip


# --- from the old ledger --------------------------------------------------------------------------


def carry_over(aside: Path, db: sqlite3.Connection) -> tuple[int, int]:
    """Copy the rows that can be read into a new ledger; return how many jobs, and how many without work."""
    for source in _readings(aside):
        with closing(source):
            for table, key in TABLES:
                _copy(source, db, table, key)
    _mend(db)
    jobs, work = db.execute("SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM work)").fetchone()
    return jobs, jobs - work


def _readings(aside: Path) -> Iterator[sqlite3.Connection]:
    """Open a damaged ledger; where its list of tables is lost, a copy with the list that it must have had."""
    source = _source(aside)
    try:
        if len(source.execute("SELECT name FROM sqlite_master").fetchall()) >= len(TABLES):
            yield source
            return
    except sqlite3.Error:
        pass
    source.close()
    copy = aside.with_name(f"{aside.name}.copy")
    try:
        _with_list_of_tables(aside, copy)
        yield _source(copy)
    finally:
        for leftover in (copy, *(Path(f"{copy}{companion}") for companion in COMPANIONS)):
            leftover.unlink(missing_ok=True)


def _source(path: Path) -> sqlite3.Connection:
    source = sqlite3.connect(path, isolation_level=None)
    with suppress(sqlite3.Error):
        source.execute("PRAGMA cell_size_check = ON")
    return source


def _with_list_of_tables(aside: Path, copy: Path) -> None:
    """Copy a ledger, with the first page of an empty one: the tables are where they always are."""
    blank = aside.with_name(f"{aside.name}.blank")
    with closing(sqlite3.connect(blank, isolation_level=None)) as db:
        migrate(db, blank)
    first = bytearray(blank.read_bytes()[:PAGE])
    blank.unlink()
    first[92:96] = b"\xff\xff\xff\xff"  # the number of pages is not taken from here, but from the file's size
    shutil.copyfile(aside, copy)
    with suppress(FileNotFoundError):
        shutil.copyfile(f"{aside}-wal", f"{copy}-wal")
    with open(copy, "r+b") as stream:
        stream.write(first)


def _copy(source: sqlite3.Connection, db: sqlite3.Connection, table: str, key: str) -> None:
    ours = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    try:
        theirs = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}
    except sqlite3.Error:
        return
    columns = [column for column in ours if column in theirs]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
    for row in _rows(
        source, f"SELECT {names} FROM {table} NOT INDEXED", key, columns.index(key), _last(source, table, key)
    ):
        sound = _sound(table, dict(zip(columns, row, strict=True)))
        if sound is not None:
            with suppress(sqlite3.IntegrityError):
                db.execute(insert, list(sound.values()))


def _last(source: sqlite3.Connection, table: str, key: str) -> int:
    numbered = "bulks" if table == "tags" else table if table == "backends" else "jobs"
    for sql in (
        f"SELECT max({key}) FROM {table}",
        f"SELECT seq FROM sqlite_sequence WHERE name = '{numbered}'",
        f"SELECT max(n) FROM {numbered}",
    ):
        with suppress(sqlite3.Error):
            found = source.execute(sql).fetchone()
            if found is not None and isinstance(found[0], int):
                return found[0]
    return 0


def _rows(source: sqlite3.Connection, sql: str, key: str, at: int, last: int) -> Iterator[Sequence[Any]]:
    """Yield the rows that can be read: around a page that cannot be, ranges are halved until they fit."""
    ranges = [(0, last)]
    while ranges:
        low, high = ranges.pop()
        reached = low - 1
        try:
            for row in source.execute(f"{sql} WHERE {key} BETWEEN ? AND ? ORDER BY {key}", (low, high)):
                if isinstance(row[at], int):
                    reached = row[at]
                yield row
        except (sqlite3.Error, UnicodeDecodeError):
            if reached >= low:
                ranges.append((reached + 1, high))
            elif low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]


def _sound(table: str, row: dict[str, Any]) -> dict[str, Any] | None:
    """Return a row if it makes sense: SQLite notices only what breaks its own structures."""
    texts = (
        "fingerprint",
        "label",
        "type",
        "distribution",
        "options",
        "host",
        "kind",
        "native",
        "id",
        "releaser",
    )
    numbers = ("n", "backend", "bulk", "state", "attempt", "told", "first", "last", "original", "unmet",
               "prerequisite", "dependent", "condition")  # fmt: skip
    if not all(isinstance(value, str) for key, value in row.items() if key in texts):
        return None
    if not all(isinstance(value, int) for key, value in row.items() if key in numbers):
        return None
    try:
        if table == "backends":
            msgspec.json.decode(row["options"], type=dict)
        elif table == "bulks":
            of_column(row["name"]).encode("utf-8", "surrogatepass")
            msgspec.msgpack.decode(row["context"], type=Context)
        elif table == "once":
            bytes.join(b"", [row["key"]])
        elif table == "jobs":
            if not _HEX.fullmatch(row["id"]) or not FIRST <= row["state"] < len(CODE):
                return None
            if row["outcome"] is not None:
                decode_outcome(row["outcome"])
    except (AttributeError, TypeError, ValueError, msgspec.MsgspecError):
        if table != "jobs":
            return None
        row["outcome"] = None
    return row


def _mend(db: sqlite3.Connection) -> None:
    """Have what is left fit together: jobs whose bulk or backend is lost get others, and so are found."""
    db.execute("DELETE FROM bulks WHERE n NOT IN (SELECT bulk FROM jobs)")
    db.execute(
        "INSERT INTO bulks (n, backend, kind, native, name, created, first, last, context) "
        "SELECT bulk, min(backend), '', '', '', ?, min(n), max(n), ? FROM jobs "
        "WHERE bulk NOT IN (SELECT n FROM bulks) GROUP BY bulk",
        (time.time(), _NO_CONTEXT),
    )
    found = db.execute("SELECT min(backend), min(n), max(n), bulk FROM jobs GROUP BY bulk").fetchall()
    db.executemany(
        "UPDATE bulks SET backend = ?, first = min(first, ?), last = max(last, ?) WHERE n = ?", found
    )
    db.execute(
        "INSERT INTO backends SELECT DISTINCT backend, 'lost ' || backend, 'lost', 'lost', '', '{}', '' "
        "FROM jobs WHERE backend NOT IN (SELECT n FROM backends)"
    )
    _end_astray(db)
    db.execute("DELETE FROM once WHERE n NOT IN (SELECT n FROM jobs)")
    for table, column, target in REFERENCES:
        if table not in ("jobs", "bulks"):
            db.execute(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT n FROM {target})")


def _end_astray(db: sqlite3.Connection) -> None:
    """End jobs of which it is not known any more what they wait for: to start too early may do harm."""
    miscounted = f"SELECT g.n, g.last FROM dependents g WHERE {MISCOUNTED}"
    for first, last in db.execute(miscounted).fetchall():
        _lose(db, f"n BETWEEN {first} AND {last} AND state = {BLOCKED}")
    _lose(db, f"n IN (SELECT j.n FROM jobs j WHERE {ASTRAY} OR {NEVER_DUE})")
    for table, column, target in REFERENCES:
        if table == "dependencies":
            db.execute(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT n FROM {target})")
    unmet = MISCOUNTED.partition(" <> ")[2]
    counted = db.execute(f"SELECT {unmet}, g.n FROM dependents g WHERE {MISCOUNTED}").fetchall()
    db.executemany("UPDATE dependents SET unmet = ? WHERE n = ?", counted)


def _lose(db: sqlite3.Connection, which: str) -> None:
    lost = Outcome(
        status=JobStatus.ERROR,
        reason="lost",
        message="what it was to start after is not known any more: the ledger was damaged",
        finished=time.time(),
    )
    found = [n for (n,) in db.execute(f"SELECT n FROM jobs WHERE {which}")]
    needed = [n for n in found if db.execute(_IS_NEEDED, (n,)).fetchone() is not None]
    db.executemany(
        "UPDATE jobs SET state = ?, finished = ?, reason = 'lost', outcome = ? WHERE n = ?",
        [(CODE[lost.status], lost.finished, encode_outcome(lost), n) for n in found],
    )
    dependencies.advance(db, needed, time.time())


_IS_NEEDED = "SELECT 1 FROM dependencies WHERE prerequisite = ?"
_NO_CONTEXT = msgspec.msgpack.encode(Context((), b"{}"))


# --- from the spool -------------------------------------------------------------------------------


def take_spools(directory: Path, db: sqlite3.Connection) -> int:
    """Note the outcomes in the spool, of jobs that are open in a ledger or not in it; return how many."""
    taken = 0
    strangers: list[tuple[str, Outcome, float]] = []
    several = db.execute("SELECT id, attempt FROM jobs WHERE attempt > 1").fetchall()
    later = {attempt_id(job_id, n) for job_id, last in several for n in range(2, last + 1)}
    for job_id in job_spool.job_ids(directory):
        if job_id in later:  # what came of it its engine tells
            continue
        known = db.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if known is not None and known[0] >= FINAL:
            continue
        place = job_spool.path_of(directory, job_id)
        try:
            outcome = job_spool.read_outcome(place)
            made = place.stat().st_mtime
        except (OSError, StateError):
            continue
        if outcome is None:
            continue
        taken += 1
        if known is None:
            strangers.append((job_id, outcome, made))
        else:
            needed = dependencies.needed_and_open(db, [job_id])
            db.execute(
                "UPDATE jobs SET state = ?, started = ?, finished = ?, reason = ?, outcome = ? WHERE id = ?",
                (CODE[outcome.status], outcome.started, outcome.finished or made, outcome.reason,
                 encode_outcome(outcome), job_id),
            )  # fmt: skip
            dependencies.advance(db, needed, time.time())
    if strangers:
        _take_in(strangers, db)
    return taken


def _take_in(strangers: list[tuple[str, Outcome, float]], db: sqlite3.Connection) -> None:
    """Write jobs of which only what came of them is known: calls, since others leave no outcome."""
    backend = _backend_for_strangers(db)
    bulk = db.execute(
        "INSERT INTO bulks (backend, kind, native, name, created, first, last, context) "
        "VALUES (?, 'python', 'python', '', ?, 0, 0, ?)",
        (backend, min(made for _, _, made in strangers), _NO_CONTEXT),
    ).lastrowid
    numbers = [
        db.execute(
            "INSERT INTO jobs (id, bulk, backend, state, started, finished, reason, outcome) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (job_id, bulk, backend, CODE[outcome.status], outcome.started, outcome.finished or made,
             outcome.reason, encode_outcome(outcome)),
        ).lastrowid
        for job_id, outcome, made in strangers
    ]  # fmt: skip
    db.execute("UPDATE bulks SET first = ?, last = ? WHERE n = ?", (numbers[0], numbers[-1], bulk))


def _backend_for_strangers(db: sqlite3.Connection) -> int:
    known = [
        row[0]
        for row in db.execute("SELECT n FROM backends WHERE host <> '' OR type = 'lost' ORDER BY host = ''")
    ]
    if known:
        return int(known[0])
    added = db.execute("INSERT INTO backends VALUES (NULL, 'lost', 'lost', '', '', '{}', '')").lastrowid
    assert added is not None
    return added
