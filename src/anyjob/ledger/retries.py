"""The attempts of a job that have ended and were followed by another: whoever writes an end writes that, too.

An attempt that failed, and after which the job goes again, has a row of `attempts`, with what came of it, and
when the next one is due. The job is in the state `DUE` until somebody begins that: then it is one that waits
as any other. Both are part of a transaction. So each attempt begins once, whoever is killed. An engine of our
own making begins it by itself; for others the releaser of the host that the job was submitted on does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from anyjob.ledger import engine_verdicts
from anyjob.ledger.end_effects import NextAttempt
from anyjob.ledger.file.sql_lists import chunks, placeholders
from anyjob.ledger.rows import CANCELLING, CODE, DUE, FINAL
from anyjob.retry import MOST_TIMES
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.outcome import Outcome
    from anyjob.resources import Resources


class Split(NamedTuple):
    """What the ends of attempts are to jobs."""

    final: dict[str, Outcome]
    """What came of those that have ended."""
    again: list[NextAttempt]
    """Those that go again."""
    stale: list[str]
    """Those of which an earlier attempt was meant, whose end is known."""


def split(
    db: sqlite3.Connection, outcomes: Mapping[str, Outcome], native_ids: Mapping[str, str | None], now: float
) -> Split:
    """Write which of these jobs go again, and return what is to be done with all of them.

    An engine that is not of our own making is given each attempt under an id of its own.

    Args:
        db: in a transaction.
        outcomes: what came of their attempts.
        native_ids: what the engine calls those attempts, by the ids of the jobs; where it is another one by
            now, that is an earlier attempt. What is left out counts by the number of its attempt.
        now: the time.
    """
    failed = [job_id for job_id, outcome in outcomes.items() if outcome.status is not JobStatus.DONE]
    unfounded = engine_verdicts.unfounded(db, outcomes)
    rows = [
        row
        for some in chunks(failed)
        for row in db.execute(
            "SELECT j.id, j.n, j.bulk, j.backend, j.attempt, j.native_id, j.reason, j.state, k.context, "
            "b.host FROM jobs j CROSS JOIN bulks k ON k.n = j.bulk CROSS JOIN backends b ON b.n = j.backend "
            f"WHERE (k.again OR ?) AND j.id IN ({placeholders(some)})",
            (bool(unfounded), *some),
        )
    ]
    if not rows:
        return Split(dict(outcomes), [], [])
    result = Split(dict(outcomes), [], [])
    import random

    from anyjob.execution.next_attempt import next_attempt

    known: dict[int, Resources] = {}
    for job_id, n, bulk, backend, attempt, native_id, reason, state, context, host in rows:
        outcome = outcomes[job_id]
        if outcome.attempt < attempt or native_ids.get(job_id, native_id) != native_id:
            del result.final[job_id]
            result.stale.append(job_id)
            continue
        if state >= FINAL or reason == CANCELLING or outcome.status is not JobStatus.ERROR:
            continue
        if bulk not in known:
            known[bulk] = _resources(context)
        history = [kind for (kind,) in db.execute("SELECT kind FROM attempts WHERE n = ?", (n,))]
        if job_id in unfounded and len(history) < MOST_TIMES:
            del result.final[job_id]
            _write(db, n, native_id, outcome, "dependency", now, 0.0)
            engine_verdicts.begin_anew(db, n, bulk, outcome.attempt + 1)
            result.again.append(NextAttempt(job_id, bulk, backend, outcome.attempt + 1, 0.0))
            continue
        step = next_attempt(known[bulk], history, outcome, restarts=bool(host), chance=random.random())
        if step is None or (not host and step.kind == "requeue"):  # engines do that before it ends
            continue
        del result.final[job_id]
        _write(db, n, native_id, outcome, step.kind, now, step.wait)
        state = CODE[JobStatus.QUEUED] if host and not step.wait else DUE
        db.execute(
            "UPDATE jobs SET state = ?, attempt = ?, started = NULL, reason = NULL, native_id = NULL "
            "WHERE n = ?",
            (state, outcome.attempt + 1, n),
        )
        result.again.append(NextAttempt(job_id, bulk, backend, outcome.attempt + 1, step.wait))
    return result


def _resources(context: bytes) -> Resources:
    from anyjob.ledger.encoding import decode_context, decode_resources

    return decode_resources(decode_context(context).resources)


def _write(
    db: sqlite3.Connection,
    n: int,
    native_id: str | None,
    outcome: Outcome,
    kind: str,
    now: float,
    wait: float,
) -> None:
    from anyjob.ledger.encoding import encode_outcome

    db.execute(
        "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?)",
        (n, outcome.attempt, kind, native_id, now + wait, wait, encode_outcome(outcome)),
    )


def note_restarts(db: sqlite3.Connection, numbers: Mapping[str, int], now: float) -> None:
    """Note that engines have started jobs anew by themselves: which attempt of each is under way, or was.

    What came of one before is not told by them, but that it had not ended by itself.

    Args:
        db: in a transaction, before these numbers are written.
        numbers: of attempts, by the ids of the jobs.
        now: the time.
    """
    later = {job_id: attempt for job_id, attempt in numbers.items() if attempt > 1}
    for some in chunks(list(later)):
        rows = db.execute(
            "SELECT j.id, j.n, j.attempt, j.native_id, j.started, k.context FROM jobs j "
            "CROSS JOIN bulks k ON k.n = j.bulk CROSS JOIN backends b ON b.n = j.backend "
            f"WHERE b.host = '' AND +j.state < {FINAL} AND j.id IN ({placeholders(some)})",
            some,
        ).fetchall()
        for job_id, n, attempt, native_id, started, context in rows:
            if attempt < later[job_id]:
                ended = _restarted(_resources(context), started)
                for number in range(attempt, later[job_id]):
                    _write(db, n, native_id, ended(number), "requeue", now, 0.0)


def _restarted(resources: Resources, started: float | None) -> Callable[[int], Outcome]:
    from anyjob.outcome import Outcome

    asks = bool(resources.on_walltime)
    return lambda attempt: Outcome(
        status=JobStatus.ERROR,
        reason="walltime" if asks else None,
        message="" if asks else "its engine has ended it half way, and started it anew",
        started=started,
        attempt=attempt,
    )


def begin(db: sqlite3.Connection, job_ids: Sequence[str], state: int) -> list[tuple[str, int]]:
    """Have those of these jobs that are due be in this state; return them, each with its backend.

    What is in another state by now was begun by somebody else, or has ended.
    """
    found = [
        row
        for some in chunks(job_ids)
        for row in db.execute(
            f"SELECT n, id, backend FROM jobs WHERE +state = {DUE} AND id IN ({placeholders(some)})", some
        ).fetchall()
    ]
    db.executemany("UPDATE jobs SET state = ? WHERE n = ?", [(state, n) for n, _, _ in found])
    return [(job_id, backend) for _, job_id, backend in found]
