"""What is done in the ledger to jobs that have not ended: they are held, paused, cancelled, given a priority.

Each names the host whose jobs it is about: those of other hosts are run, and controlled, there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from anyjob.ledger import dependencies
from anyjob.ledger.end_effects import EndEffects
from anyjob.ledger.file.sql_lists import chunks, placeholders
from anyjob.ledger.rows import BLOCKED, CODE, DUE, HELD, PAUSED, WAITING
from anyjob.status import JobStatus

WAIT, RUN = (DUE, BLOCKED, CODE[JobStatus.QUEUED]), (CODE[JobStatus.RUNNING],)
"""The states of jobs that have not started, and of those that run."""
_WAIT = ",".join(map(str, WAIT))


def hold(db: sqlite3.Connection, job_ids: Sequence[str], host: str) -> list[str]:
    """Have those jobs that wait not start until they are released; return these."""
    return _mark(db, job_ids, host, WAIT, (None, HELD), HELD)


def release(db: sqlite3.Connection, job_ids: Sequence[str], host: str) -> list[str]:
    """Let those jobs start that are held; return these."""
    return _mark(db, job_ids, host, WAIT, (HELD,), None)


def pause(db: sqlite3.Connection, job_ids: Sequence[str], host: str) -> list[str]:
    """Note that those jobs are paused that run; return these."""
    return _mark(db, job_ids, host, RUN, (None, WAITING, PAUSED), PAUSED)


def resume(db: sqlite3.Connection, job_ids: Sequence[str], host: str) -> list[str]:
    """Note that those jobs go on that are paused; return these."""
    return _mark(db, job_ids, host, RUN, (PAUSED,), None)


def set_priority(db: sqlite3.Connection, job_ids: Sequence[str], host: str, priority: int) -> list[str]:
    """Give those jobs that wait a priority; return these."""
    found = _waiting(db, "n, id", job_ids, host)
    db.executemany("UPDATE jobs SET priority = ? WHERE n = ?", [(priority, row[0]) for row in found])
    return [row[1] for row in found]


def cancel_queued(
    db: sqlite3.Connection, job_ids: Sequence[str], host: str, finished: float
) -> tuple[list[tuple[str, int, int]], EndEffects]:
    """End those jobs that wait, as `Ledger.cancel_queued` has it.

    No outcome is written: all that is to be said of one that never began stands in its row.
    """
    end = f"UPDATE jobs SET state = {CODE[JobStatus.CANCELLED]}, finished = ?, reason = NULL WHERE n = ?"
    found = _waiting(db, "n, id, bulk, attempt", job_ids, host)
    needed = dependencies.needed_and_open(db, [row[1] for row in found])
    db.executemany(end, [(finished, row[0]) for row in found])
    return [row[1:] for row in found], dependencies.advance(db, needed, finished)


def _waiting(db: sqlite3.Connection, columns: str, job_ids: Sequence[str], host: str) -> list[Any]:
    """Return columns of those jobs that wait for a backend of a host."""
    # By their ids: the + keeps SQLite from reading all that wait, anew for each chunk of these.
    waiting = (
        f"SELECT {columns} FROM jobs WHERE +state IN ({_WAIT}) "
        "AND +backend IN (SELECT n FROM backends WHERE host = ?) AND id IN ({})"
    )
    return [
        row
        for some in chunks(job_ids)
        for row in db.execute(waiting.format(placeholders(some)), (host, *some)).fetchall()
    ]


def _mark(
    db: sqlite3.Connection,
    job_ids: Sequence[str],
    host: str,
    states: Sequence[int],
    old: Sequence[str | None],
    new: str | None,
) -> list[str]:
    """Give a reason to those of these jobs that are in some states, and have one of these as yet."""
    which = (
        f"SELECT n, id FROM jobs WHERE +state IN ({','.join(map(str, states))}) "
        "AND coalesce(reason, '') IN ({}) "
        "AND +backend IN (SELECT n FROM backends WHERE host = ?) AND id IN ({})"
    )
    known = [each or "" for each in old]
    found = [
        row
        for some in chunks(job_ids)
        for row in db.execute(
            which.format(placeholders(known), placeholders(some)), (*known, host, *some)
        ).fetchall()
    ]
    db.executemany("UPDATE jobs SET reason = ? WHERE n = ?", [(new, row[0]) for row in found])
    return [row[1] for row in found]
