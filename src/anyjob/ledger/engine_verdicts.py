"""What engines say of jobs that they were to start after others, where the ledger knows better.

An engine that has graphs of its own ends by itself what it cannot start. It may be wrong: the result that it
has lost is stored, or only the success of that job was needed; or what has failed is not waited for any more.
Such a job has not run. It is handed over once more, by a releaser as any that starts after others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING

from anyjob.ledger.dependencies import RESULT
from anyjob.ledger.rows import BLOCKED, CODE, DUE, GROUP_OF_J
from anyjob.standalone.runner import first_of
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.outcome import Outcome

_BEHIND = """
    WITH RECURSIVE behind (g) AS (
        SELECT d.dependent FROM jobs j CROSS JOIN dependencies d ON d.prerequisite = j.n
        WHERE j.id = ? AND d.condition >= ?
        UNION SELECT d.dependent FROM behind b CROSS JOIN dependents s ON s.n = b.g
        CROSS JOIN dependencies d ON d.prerequisite BETWEEN s.n AND s.last)
    SELECT j.id FROM behind b CROSS JOIN dependents s ON s.n = b.g
    CROSS JOIN jobs j ON j.n BETWEEN s.n AND s.last
"""
"""From a job to all that starts after it, directly by a condition of that code or more, or further down."""
_WAS_STARTABLE = (
    f"SELECT 1 FROM jobs j CROSS JOIN dependents g ON {GROUP_OF_J} AND g.broken_by IS NULL WHERE j.id = ?"
)


def unfounded(db: sqlite3.Connection, outcomes: Mapping[str, Outcome]) -> set[str]:
    """Return those of these jobs that can start though their engine has ended them by what came of others.

    Also those further down, which are told of the same.
    """
    told: dict[tuple[str, bool], list[str]] = {}
    for job_id, outcome in outcomes.items():
        if outcome.reason == "dependency" and (first := outcome.lost_result or first_of(outcome.message)):
            told.setdefault((first, bool(outcome.lost_result)), []).append(job_id)
    found: set[str] = set()
    for (first, is_lost), job_ids in told.items():
        if db.execute("SELECT 1 FROM jobs WHERE id = ?", (first,)).fetchone() is None:
            continue
        if not (is_lost and _is_stored(db, first)):
            behind = {one for (one,) in db.execute(_BEHIND, (first, RESULT if is_lost else 0))}
            job_ids = [job_id for job_id in job_ids if job_id not in behind]
        found.update(job_id for job_id in job_ids if db.execute(_WAS_STARTABLE, (job_id,)).fetchone())
    return found


def _is_stored(db: sqlite3.Connection, job_id: str) -> bool:
    from anyjob.ledger.encoding import decode_outcome
    from anyjob.outcome import KeptByBackend

    found = db.execute("SELECT state, outcome FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if found is None or found[0] != CODE[JobStatus.DONE] or found[1] is None:
        return False
    return not isinstance(decode_outcome(found[1]).value, KeptByBackend)


def begin_anew(db: sqlite3.Connection, n: int, bulk: int, attempt: int) -> None:
    """Have a job be handed over once more, when all is there that it starts after.

    Args:
        db: in a transaction.
        n: its number.
        bulk: that of its bulk, which a releaser looks after from now on.
        attempt: the number of the attempt that is next.
    """
    waits = f"SELECT 1 FROM jobs j CROSS JOIN dependents g ON {GROUP_OF_J} AND g.unmet > 0 WHERE j.n = ?"
    state = BLOCKED if db.execute(waits, (n,)).fetchone() else DUE
    db.execute(
        "UPDATE jobs SET state = ?, attempt = ?, started = NULL, reason = NULL, native_id = NULL WHERE n = ?",
        (state, attempt, n),
    )
    db.execute("UPDATE bulks SET again = 1 WHERE n = ?", (bulk,))
