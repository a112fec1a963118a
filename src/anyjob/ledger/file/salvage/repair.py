"""Makes a ledger of rows of which some were lost: what they refer to is there, nothing waits in vain."""

from __future__ import annotations

import sqlite3
import time

import msgspec

from anyjob.ledger import dependencies
from anyjob.ledger.encoding import Context, encode_outcome
from anyjob.ledger.file.schema import ASTRAY, MISCOUNTED, NEVER_DUE, REFERENCES
from anyjob.ledger.rows import BLOCKED, CODE
from anyjob.outcome import Outcome
from anyjob.status import JobStatus

NO_CONTEXT = msgspec.msgpack.encode(Context((), b"{}"))
"""The context of a bulk of which nothing is known."""
_IS_NEEDED = "SELECT 1 FROM dependencies WHERE prerequisite = ?"


def repair(db: sqlite3.Connection) -> None:
    """Have what is left fit together: jobs whose bulk or backend is lost get others, and so are found."""
    db.execute("DELETE FROM bulks WHERE n NOT IN (SELECT bulk FROM jobs)")
    db.execute(
        "INSERT INTO bulks (n, backend, kind, native, name, created, first, last, context) "
        "SELECT bulk, min(backend), '', '', '', ?, min(n), max(n), ? FROM jobs "
        "WHERE bulk NOT IN (SELECT n FROM bulks) GROUP BY bulk",
        (time.time(), NO_CONTEXT),
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
