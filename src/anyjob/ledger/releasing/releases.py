"""Jobs that start after others, or go again, on engines that do not read the ledger: who hands them over.

A job that has all that it starts after is `RELEASED`. A releaser claims it, before it hands it to the engine:
so it is handed over by one alone. What stands in the ledger of a claim whose releaser has died is all that is
needed to find out whether the engine has the job.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from anyjob.ledger import dependencies, retries
from anyjob.ledger.end_effects import NOTHING, EndEffects
from anyjob.ledger.file.sql_lists import chunks, placeholders
from anyjob.ledger.rows import BLOCKED, CANCELLING, CODE, DUE, FINAL, RELEASED
from anyjob.ledger.store import Ledger
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.ledger.reading.attempt_reader import DueAttempt

_WAITS = f"j.backend = b.n AND j.state IN ({RELEASED}, {BLOCKED}, {DUE})"
_UNDER_WAY = ",".join(map(str, range(FINAL)))
_GOES_AGAIN = (
    "FROM backends b CROSS JOIN jobs j INDEXED BY jobs_state "
    f"ON j.backend = b.n AND j.state IN ({DUE}, {_UNDER_WAY}) "
    "CROSS JOIN bulks k ON k.n = j.bulk AND k.again WHERE b.host = ''"
)
"""From engines to their jobs that have not ended and may have another attempt, or are to have one."""
_AWAITED = (
    "FROM backends b CROSS JOIN jobs p INDEXED BY jobs_state "
    f"ON p.backend = b.n AND p.state IN ({_UNDER_WAY}) "
    "CROSS JOIN dependencies d ON d.prerequisite = p.n "
    "CROSS JOIN dependents g ON g.n = d.dependent AND g.unmet > 0 AND g.broken_by IS NULL "
    f"CROSS JOIN jobs j ON j.n = (SELECT n FROM jobs WHERE n BETWEEN g.n AND g.last AND +state = {BLOCKED} "
    "LIMIT 1) CROSS JOIN backends o ON o.n = j.backend AND o.host IN ('', ?) WHERE b.host = ''"
)
"""From the jobs of engines, which have not ended, to one of each group of jobs that waits for these."""


class Cancelled(NamedTuple):
    """What is done by a cancel of jobs that wait."""

    ended: list[str]
    """Those that have ended by that."""
    claimed: list[str]
    """Those that are being handed to their engine: they are cancelled there, once it has them."""
    effects: EndEffects


class Releases:
    """What a ledger knows of jobs that wait for others, and are handed to an engine then.

    Its methods raise `StateError` where it cannot be read or written.

    Args:
        ledger: the ledger.
        host: the host whose releasers are spoken of.
    """

    def __init__(self, ledger: Ledger, host: str) -> None:
        self._ledger = ledger
        self._file = ledger.file
        self._host = host

    # --- who is needed ------------------------------------------------------------------------

    def waiting(self) -> list[int]:
        """Return the bulks with jobs that wait, or may go again, and are handed to an engine then."""
        waits = f"SELECT j.bulk FROM backends b CROSS JOIN jobs j INDEXED BY jobs_state ON {_WAITS}"
        sql = f"{waits} WHERE b.host = '' UNION SELECT j.bulk {_GOES_AGAIN}"
        return [bulk for (bulk,) in self._file.read(sql, ())]

    def due(self) -> list[int]:
        """Return the bulks that a releaser has to do with now.

        They have jobs that are to be handed to their engine, or jobs that wait for those of an engine, of
        whose end somebody has to ask, or jobs that may go again when they end.
        """
        released = (
            "SELECT j.bulk FROM backends b CROSS JOIN jobs j INDEXED BY jobs_state "
            f"ON j.backend = b.n AND j.state = {RELEASED} WHERE b.host = ''"
        )
        sql = f"{released} UNION SELECT j.bulk {_AWAITED} UNION SELECT j.bulk {_GOES_AGAIN}"
        return [bulk for (bulk,) in self._file.read(sql, (self._host,))]

    def awaited(self, bulks: Iterable[int]) -> list[str]:
        """Return the jobs of engines that jobs of these bulks wait for, and their own that may go again."""
        wanted = set(bulks)
        sql = f"SELECT DISTINCT p.id, j.bulk {_AWAITED} UNION ALL SELECT j.id, j.bulk {_GOES_AGAIN}"
        found = self._file.read(f"{sql} AND j.state <> {DUE}", (self._host,))
        return list(dict.fromkeys(job_id for job_id, bulk in found if bulk in wanted))

    def due_attempts(self, bulks: Iterable[int]) -> list[DueAttempt]:
        """Return the jobs of these bulks that go again, and when that is due."""
        wanted = set(bulks)
        sql = f"SELECT j.id, j.bulk {_GOES_AGAIN} AND j.state = {DUE}"
        found = [job_id for job_id, bulk in self._file.read(sql, ()) if bulk in wanted]
        return list(self._ledger.attempts.due(found).values())

    def begin_attempts(self, job_ids: Sequence[str]) -> None:
        """Have those of these jobs that go again be handed over now."""
        self._file.write(lambda db: retries.begin(db, job_ids, RELEASED))

    # --- claims -------------------------------------------------------------------------------

    def claim(self, bulks: Sequence[int], releaser: str, limit: int) -> list[str]:
        """Claim jobs of these bulks that are to be handed over; return those that nobody had claimed."""
        free = (
            "SELECT j.n, j.id FROM bulks k CROSS JOIN jobs j INDEXED BY jobs_state "
            f"ON j.backend = k.backend AND j.state = {RELEASED} AND j.n BETWEEN k.first AND k.last "
            "WHERE k.n = ? AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.n = j.n) ORDER BY j.n LIMIT ?"
        )

        def claim(db: sqlite3.Connection) -> list[str]:
            found: list[tuple[int, str]] = []
            for bulk in bulks:
                found += db.execute(free, (bulk, limit - len(found))).fetchall()
                if len(found) >= limit:
                    break
            db.executemany("INSERT INTO claims VALUES (?, ?)", [(n, releaser) for n, _ in found])
            return [job_id for _, job_id in found]

        return self._file.write(claim)

    def claimed(self, releaser: str) -> list[str]:
        """Return the jobs that a releaser has claimed, and of which it is not written what came of that."""
        sql = "SELECT j.id FROM claims c CROSS JOIN jobs j ON j.n = c.n WHERE c.releaser = ? ORDER BY j.n"
        return [job_id for (job_id,) in self._file.read(sql, (releaser,))]

    def give_back(self, job_ids: Sequence[str]) -> None:
        """The engine does not have these jobs: they may be claimed anew."""
        self._unclaim(job_ids)

    def handed_over(self, job_ids: Sequence[str]) -> list[str]:
        """The engine has these jobs, or may have: they are as any other from now on.

        Returns those of which a cancel was accepted meanwhile.
        """
        begun = f"UPDATE jobs SET state = 0 WHERE id = ? AND state = {RELEASED}"
        wanted = f"SELECT id FROM jobs WHERE state < {FINAL} AND reason = '{CANCELLING}' AND id IN ({{}})"

        def end(db: sqlite3.Connection) -> list[str]:
            db.executemany(begun, [(job_id,) for job_id in job_ids])
            _unclaim(db, job_ids)
            return [
                job_id
                for some in chunks(job_ids)
                for (job_id,) in db.execute(wanted.format(placeholders(some)), some)
            ]

        return self._file.write(end)

    def _unclaim(self, job_ids: Sequence[str]) -> None:
        self._file.write(lambda db: _unclaim(db, job_ids))

    # --- cancels ------------------------------------------------------------------------------

    def cancel(self, job_ids: Sequence[str], finished: float) -> Cancelled:
        """Cancel those of these jobs that wait, or are being handed over."""
        waiting = (
            "SELECT j.n, j.id, EXISTS (SELECT 1 FROM claims c WHERE c.n = j.n) FROM jobs j "
            f"WHERE +j.state IN ({RELEASED}, {BLOCKED}, {DUE}) AND j.id IN ({{}})"
        )

        def cancel(db: sqlite3.Connection) -> Cancelled:
            found = [
                row
                for some in chunks(job_ids)
                for row in db.execute(waiting.format(placeholders(some)), some)
            ]
            ended = [(n, job_id) for n, job_id, is_claimed in found if not is_claimed]
            claimed = [(n, job_id) for n, job_id, is_claimed in found if is_claimed]
            needed = dependencies.needed_and_open(db, [job_id for _, job_id in ended])
            end = f"UPDATE jobs SET state = {CODE[JobStatus.CANCELLED]}, finished = ?, reason = NULL"
            db.executemany(f"{end} WHERE n = ?", [(finished, n) for n, _ in ended])
            db.executemany(f"UPDATE jobs SET reason = '{CANCELLING}' WHERE n = ?", [(n,) for n, _ in claimed])
            follows = dependencies.advance(db, needed, finished) if needed else NOTHING
            return Cancelled([one for _, one in ended], [one for _, one in claimed], follows)

        return self._file.write(cancel)


def _unclaim(db: sqlite3.Connection, job_ids: Sequence[str]) -> None:
    db.executemany(
        "DELETE FROM claims WHERE n = (SELECT n FROM jobs WHERE id = ?)", [(job_id,) for job_id in job_ids]
    )
