"""Jobs that have not run since their engine has lost a result that it kept for them: they begin anew with it.

An engine that keeps results on their way from job to job starts by itself what takes them. Where one is lost,
and was fetched before, it stands in the ledger, or in the spool: the job is handed over once more, by a
releaser as any that starts after others, and is given the value.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING

from anyjob.ledger.rows import BLOCKED, CODE, DUE
from anyjob.standalone.runner import RESULT_LOST
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.outcome import Outcome

_LOST = re.compile(re.escape(RESULT_LOST).replace(r"\{\}", "([0-9a-f]+)"))


def replaceable(db: sqlite3.Connection, outcomes: Mapping[str, Outcome]) -> set[str]:
    """Return those of these jobs that have failed for a result which was lost, and which is stored.

    Also those further down, which are told of the same.
    """
    sources = {
        job_id: found[1]
        for job_id, outcome in outcomes.items()
        if outcome.reason == "dependency" and (found := _LOST.match(outcome.message))
    }
    stored = {source for source in set(sources.values()) if _is_stored(db, source)}
    return {job_id for job_id, source in sources.items() if source in stored}


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
    waits = (
        "SELECT 1 FROM dependents WHERE n = (SELECT max(n) FROM dependents WHERE n <= ?1) "
        "AND last >= ?1 AND unmet > 0"
    )
    state = BLOCKED if db.execute(waits, (n,)).fetchone() else DUE
    db.execute(
        "UPDATE jobs SET state = ?, attempt = ?, started = NULL, reason = NULL, native_id = NULL WHERE n = ?",
        (state, attempt, n),
    )
    db.execute("UPDATE bulks SET again = 1 WHERE n = ?", (bulk,))
