"""The outcomes that lie in the directories of jobs, taken into a ledger that does not have them."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from anyjob.errors import StateError
from anyjob.ledger import dependencies
from anyjob.ledger.encoding import encode_outcome
from anyjob.ledger.file.salvage.repair import NO_CONTEXT
from anyjob.ledger.rows import CODE, FINAL
from anyjob.outcome import Outcome
from anyjob.outputs.attempt_files import attempt_id
from anyjob.spool import job_spool


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
        (backend, min(made for _, _, made in strangers), NO_CONTEXT),
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
