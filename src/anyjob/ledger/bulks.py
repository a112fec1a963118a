"""Writes the jobs of one bulk, and removes jobs with all that is written of them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anyjob.ledger.end_effects import NOTHING, EndEffects
from anyjob.ledger.file.sql_lists import placeholders
from anyjob.ledger.rows import BLOCKED, CODE, NewJob, as_column
from anyjob.status import JobStatus

_SUPERSEDE = """
    WITH RECURSIVE line (n) AS (
        SELECT n FROM jobs WHERE id = :original
        UNION ALL SELECT reruns.n FROM reruns JOIN line ON reruns.original = line.n)
    INSERT INTO reruns SELECT :n, n FROM line ORDER BY n DESC LIMIT 1
"""
"""Puts a job behind the newest of the line that its original is in; does nothing where that is forgotten."""


def enter(
    db: sqlite3.Connection,
    jobs: Sequence[NewJob],
    columns: Mapping[str, Any],
    tags: Mapping[str, str],
    code: int,
) -> EndEffects:
    """Write jobs, in a transaction; return what has become of those that start after others.

    Args:
        db: the ledger.
        jobs: what is to be written of each.
        columns: what is to be written of all, by column of ``bulks``.
        tags: what they are all tagged with.
        code: the state that those begin in that may start now.

    Raises:
        JobNotFoundError: one is to start after a job that is not in the ledger.
    """
    first = _last_number(db) + 1
    values = {**columns, "first": first, "last": first + len(jobs) - 1}
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    bulk = db.execute(f"INSERT INTO bulks ({names}) VALUES ({marks})", [*values.values()]).lastrowid
    assert bulk is not None
    if tags:
        rows = [(bulk, as_column(key), as_column(value)) for key, value in tags.items()]
        db.executemany("INSERT INTO tags VALUES (?, ?, ?)", rows)
    backend = columns["backend"]
    db.executemany(
        "INSERT INTO jobs (n, id, bulk, backend, state) VALUES (?, ?, ?, ?, ?)",
        (
            (n, job.job_id, bulk, backend, BLOCKED if job.after and not job.started_by_engine else code)
            for n, job in enumerate(jobs, first)
        ),
    )
    db.executemany(
        "INSERT INTO work VALUES (?, ?, ?)",
        ((n, job.payload, job.spec) for n, job in enumerate(jobs, first)),
    )
    db.executemany("INSERT INTO summaries VALUES (?, ?, ?)", _summaries(jobs, first))
    for n, job in enumerate(jobs, first):
        if job.notes:
            import json

            db.execute("INSERT INTO notes VALUES (?, ?)", (n, json.dumps(job.notes)))
        if job.rerun_of is not None:
            db.execute(_SUPERSEDE, {"n": n, "original": job.rerun_of})
    if any(job.once or job.rerun_of for job in jobs):
        from anyjob.ledger import once

        once.enter(db, jobs, first)
    if not any(job.after for job in jobs):
        return NOTHING
    from anyjob.ledger import dependencies

    return dependencies.enter(db, jobs, first, columns["created"], code)


def _summaries(jobs: Sequence[NewJob], first: int) -> Iterator[tuple[int, str, str]]:
    for n, job in enumerate(jobs, first):
        work, parameters = job.summary
        encoded = "{}"
        if parameters:
            import json

            encoded = json.dumps(parameters, default=str)
        if work or parameters:
            yield n, work.encode("utf-8", "backslashreplace").decode(), encoded


def _last_number(db: sqlite3.Connection) -> int:
    """Return the highest number that a job was ever given."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
    return 0 if found is None else int(found[0])


def remove(db: sqlite3.Connection, job_ids: Sequence[str]) -> list[str]:
    """Remove jobs, and bulks that none is left of; return the environment files that these had."""
    from anyjob.ledger import dependencies, once
    from anyjob.ledger.encoding import decode_context

    found = db.execute(f"SELECT n, bulk FROM jobs WHERE id IN ({placeholders(job_ids)})", job_ids).fetchall()
    numbers = [(n,) for n, _ in found]
    never = dependencies.needed_and_open(db, job_ids)
    if never:  # they never came to be, and others were to start after them
        code = CODE[JobStatus.ERROR]
        db.executemany("UPDATE jobs SET state = ?, reason = 'lost' WHERE n = ?", [(code, n) for n in never])
        dependencies.advance(db, never, time.time())
    once.forget(db, numbers)
    for table in ("jobs", "work", "notes", "attempts", "summaries", "claims"):
        db.executemany(f"DELETE FROM {table} WHERE n = ?", numbers)
    db.executemany("DELETE FROM reruns WHERE n = ?1 OR original = ?1", numbers)
    dependencies.forget(db, numbers)
    environments = []
    for bulk in {bulk for _, bulk in found}:
        left = (
            "SELECT 1 FROM bulks k CROSS JOIN jobs j ON j.n BETWEEN k.first AND k.last WHERE k.n = ? LIMIT 1"
        )
        if db.execute(left, (bulk,)).fetchone() is None:
            gone = db.execute("SELECT context FROM bulks WHERE n = ?", (bulk,)).fetchall()
            db.execute("DELETE FROM bulks WHERE n = ?", (bulk,))
            db.execute("DELETE FROM tags WHERE bulk = ?", (bulk,))
            environments += [decode_context(row[0]).environment for row in gone]
    return [path for path in environments if path]
