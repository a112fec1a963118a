"""Jobs that start after others: what waits for what, and what the end of one means for those behind it.

Jobs that follow each other in a bulk and wait for the same have one row of `dependents`, under the number of
the first: so a thousand that wait for a thousand are a thousand rows of `dependencies`, not a million. All of
this is part of the transaction that writes an end. So it is done once, whoever is killed.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from anyjob.errors import JobNotFoundError
from anyjob.ledger.end_effects import EndEffects
from anyjob.ledger.file.sql_lists import chunks, placeholders
from anyjob.ledger.rows import BLOCKED, CODE, FINAL, GROUP_OF_J, RELEASED, STATES, NewJob, of_column
from anyjob.standalone.runner import BROKEN, ending_in_words
from anyjob.status import PREREQUISITES, JobStatus

CONDITIONS = (*PREREQUISITES, "result")
"""What a prerequisite has to come to, by its code: to have succeeded, to have ended, to have failed; or to
have succeeded, and left a result that is an argument of the call."""
SUCCESS = CONDITIONS.index("after")
FAILURE = CONDITIONS.index("after_failure")
RESULT = CONDITIONS.index("result")
SHOWN = 3
"""Jobs between the first cause and what fails of it that a message names, at most."""
_MEETS = (
    frozenset({CODE[JobStatus.DONE]}),
    frozenset(range(FINAL, len(STATES))),
    frozenset({CODE[JobStatus.ERROR]}),
    frozenset({CODE[JobStatus.DONE]}),
)


def enter(db: sqlite3.Connection, jobs: Sequence[NewJob], first: int, now: float, ready: int) -> EndEffects:
    """Write what the new jobs of a bulk, numbered from ``first`` on, wait for; what has ended counts at once.

    Args:
        db: in a transaction, in which these jobs have been written.
        jobs: the jobs.
        first: the number of the first.
        now: when those end that cannot start any more.
        ready: the code of the state of those that may start at once, as any new job.

    Raises:
        JobNotFoundError: one is to wait for a job that is not in the ledger.
    """
    known: dict[str, tuple[int, int]] = {}
    ids = list(dict.fromkeys(needed.job_id for job in jobs for needed in job.after))
    for some in chunks(ids):
        found = db.execute(f"SELECT id, n, state FROM jobs WHERE id IN ({placeholders(some)})", some)
        known.update((job_id, (n, state)) for job_id, n, state in found)
    step = _Step(db, now, ready)
    for after, same in groupby(enumerate(jobs, first), key=lambda job: job[1].after):
        if not after:
            continue
        numbers = [n for n, _ in same]
        unmet, broken = 0, None
        for needed in dict.fromkeys(after):
            if needed.job_id not in known:
                raise JobNotFoundError(
                    f"no job {needed.job_id!r} is in this ledger (it was forgotten, or is one of another): "
                    "nothing can start after it"
                )
            n, state = known[needed.job_id]
            unmet += state < FINAL
            if state >= FINAL and state not in _MEETS[needed.condition]:
                broken = n
        edges = [(known[one.job_id][0], numbers[0], one.condition) for one in dict.fromkeys(after)]
        db.execute("INSERT INTO dependents VALUES (?, ?, ?, NULL)", (numbers[0], numbers[-1], unmet))
        db.executemany("INSERT INTO dependencies VALUES (?, ?, ?)", edges)
        if broken is not None:
            step.fail(numbers[0], broken)
        elif not unmet:
            step.release([numbers[0]])
    step.go_on()
    return step.effects


def needed_and_open(db: sqlite3.Connection, job_ids: Sequence[str]) -> list[int]:
    """Return the numbers of those of these jobs that have not ended, and that others wait for."""
    if db.execute("SELECT 1 FROM dependents WHERE unmet > 0 LIMIT 1").fetchone() is None:
        return []
    wanted = (
        f"SELECT j.n FROM jobs j WHERE j.id IN ({{}}) AND +j.state < {FINAL} "
        "AND EXISTS (SELECT 1 FROM dependencies d WHERE d.prerequisite = j.n)"
    )
    return [n for some in chunks(job_ids) for (n,) in db.execute(wanted.format(placeholders(some)), some)]


def advance(db: sqlite3.Connection, ended: Iterable[int], now: float) -> EndEffects:
    """Jobs have just ended, which others waited for: do what that means for those.

    Args:
        db: in a transaction, in which these have been written as ended.
        ended: their numbers, as `needed_and_open` has given them before that.
        now: when those end that cannot start any more.
    """
    step = _Step(db, now)
    step.ended += ended
    step.go_on()
    return step.effects


def let_go(db: sqlite3.Connection, job_ids: Sequence[str], now: float) -> EndEffects:
    """Have what waits for these jobs wait for them no more, unless it needs their results.

    Args:
        db: in a transaction.
        job_ids: the jobs; those that have ended are left out.
        now: when it is.
    """
    behind = (
        "SELECT d.prerequisite, d.dependent, d.condition FROM jobs j CROSS JOIN dependencies d "
        "ON d.prerequisite = j.n CROSS JOIN dependents g ON g.n = d.dependent "
        f"WHERE j.id IN ({{}}) AND +j.state < {FINAL} AND g.unmet > 0 AND d.condition <> {RESULT}"
    )
    edges = [edge for some in chunks(job_ids) for edge in db.execute(behind.format(placeholders(some)), some)]
    db.executemany(
        "DELETE FROM dependencies WHERE prerequisite = ? AND dependent = ? AND condition = ?", edges
    )
    groups = Counter(group for _, group, _ in edges)
    db.executemany(
        "UPDATE dependents SET unmet = unmet - ? WHERE n = ?", [(count, n) for n, count in groups.items()]
    )
    step = _Step(db, now)
    step.release(list(groups))
    return step.effects


def forget(db: sqlite3.Connection, numbers: Sequence[tuple[int]]) -> None:
    """Jobs are not in the ledger any more: nor is what they waited for, or what waited for them."""
    if db.execute("SELECT 1 FROM dependents LIMIT 1").fetchone() is None:
        return
    db.executemany("DELETE FROM dependencies WHERE prerequisite = ?", numbers)
    groups = {
        found[0]
        for (n,) in numbers
        for found in db.execute(
            "SELECT g.n FROM dependents g WHERE g.n = (SELECT max(n) FROM dependents WHERE n <= ?) "
            "AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.n BETWEEN g.n AND g.last)",
            (n,),
        )
    }
    db.executemany("DELETE FROM dependents WHERE n = ?", [(n,) for n in groups])
    db.executemany("DELETE FROM dependencies WHERE dependent = ?", [(n,) for n in groups])


class _Step:
    """What follows from the end of some jobs, and from what follows."""

    def __init__(self, db: sqlite3.Connection, now: float, ready: int | None = None) -> None:
        self._db = db
        self._now = now
        self._ready = ready
        self._states: dict[int, int] = {}
        self._causes: dict[int, _Cause] = {}
        self.ended: list[int] = []
        """The numbers of jobs of whose end those behind them have not heard."""
        self.effects = EndEffects([], [])

    def go_on(self) -> None:
        """Follow until nothing follows any more."""
        while self.ended:
            ended, self.ended = self.ended, []
            for some in chunks(ended):
                self._follow(some)

    def _follow(self, numbers: Sequence[int]) -> None:
        behind = self._db.execute(
            "SELECT d.dependent, d.condition, j.n, j.state FROM jobs j CROSS JOIN dependencies d "
            f"ON d.prerequisite = j.n WHERE j.n IN ({placeholders(numbers)})",
            numbers,
        ).fetchall()
        heard = Counter(group for group, _, _, _ in behind)
        self._db.executemany(
            "UPDATE dependents SET unmet = unmet - ? WHERE n = ?", [(count, n) for n, count in heard.items()]
        )
        for group, condition, n, state in behind:
            if state not in _MEETS[condition]:
                self.fail(group, n)
        self.release(list(heard))

    def release(self, groups: Sequence[int]) -> None:
        """Have start what waits for nothing more."""
        for some in chunks(groups):
            free = (
                f"SELECT n, last FROM dependents WHERE n IN ({placeholders(some)}) "
                "AND unmet <= 0 AND broken_by IS NULL"
            )
            spans = self._db.execute(free, some).fetchall()
            self._release_each([n for n, last in spans if n == last])
            for n, last in spans:
                if n == last:
                    continue
                found = self._db.execute(
                    f"SELECT id, backend FROM jobs WHERE n BETWEEN ? AND ? AND +state = {BLOCKED}", (n, last)
                ).fetchall()
                if not found:
                    continue
                self.effects.released.extend(found)
                self._db.execute(
                    f"UPDATE jobs SET state = ? WHERE n BETWEEN ? AND ? AND +state = {BLOCKED}",
                    (self._state_on(found[0][1]), n, last),
                )

    def _release_each(self, numbers: Sequence[int]) -> None:
        """Have these start, each of which waited alone, as the links of chains do."""
        if not numbers:
            return
        blocked = (
            f"SELECT id, backend, n FROM jobs WHERE n IN ({placeholders(numbers)}) AND +state = {BLOCKED}"
        )
        found = self._db.execute(blocked, numbers).fetchall()
        self.effects.released.extend((job_id, backend) for job_id, backend, _ in found)
        self._db.executemany(
            "UPDATE jobs SET state = ? WHERE n = ?", [(self._state_on(backend), n) for _, backend, n in found]
        )

    def _state_on(self, backend: int) -> int:
        """Return the state of jobs of a backend that may start: its queue is in the ledger, or elsewhere."""
        if self._ready is not None:
            return self._ready
        if backend not in self._states:
            host = self._db.execute("SELECT host FROM backends WHERE n = ?", (backend,)).fetchone()
            self._states[backend] = CODE[JobStatus.QUEUED] if host and host[0] else RELEASED
        return self._states[backend]

    def fail(self, group: int, prerequisite: int) -> None:
        """End what cannot start any more, since this prerequisite has come to something else."""
        from anyjob.ledger.encoding import encode_outcome
        from anyjob.outcome import Outcome

        db = self._db
        if not db.execute(
            "UPDATE dependents SET broken_by = ? WHERE n = ? AND broken_by IS NULL", (prerequisite, group)
        ).rowcount:
            return
        stopped = db.execute(
            "SELECT j.n, j.id, j.bulk FROM dependents g CROSS JOIN jobs j ON j.n BETWEEN g.n AND g.last "
            f"WHERE g.n = ? AND +j.state = {BLOCKED}",
            (group,),
        ).fetchall()
        if not stopped:
            return
        cause = self._cause(prerequisite)
        outcome = Outcome(
            status=JobStatus.ERROR, reason="dependency", message=cause.message(), finished=self._now
        )
        encoded = encode_outcome(outcome)
        db.executemany(
            f"UPDATE jobs SET state = {CODE[JobStatus.ERROR]}, finished = ?, reason = 'dependency', "
            "outcome = ? WHERE n = ?",
            [(self._now, encoded, n) for n, _, _ in stopped],
        )
        for n, job_id, bulk in stopped:
            self._causes[n] = cause.by_way_of(self._called(n))
            self.effects.ended.append((job_id, bulk))
            self.ended.append(n)

    def _cause(self, n: int) -> _Cause:
        """Return what is behind the end of a job."""
        known = self._causes.get(n)
        if known is None:
            way: list[int] = []
            while (before := self._broken_by(n)) is not None:
                way.append(n)
                n = before
            known = _Cause(self._ending(n), ())
            for each in reversed(way):
                known = known.by_way_of(self._called(each))
            self._causes[way[0] if way else n] = known
        return known

    def _broken_by(self, n: int) -> int | None:
        found = self._db.execute(
            f"SELECT g.broken_by FROM jobs j CROSS JOIN dependents g ON {GROUP_OF_J} "
            "WHERE j.n = ? AND j.reason = 'dependency' AND g.broken_by IN (SELECT n FROM jobs)",
            (n,),
        ).fetchone()
        return None if found is None else int(found[0])

    def _called(self, n: int) -> str:
        job_id, name = self._db.execute(
            "SELECT j.id, k.name FROM jobs j JOIN bulks k ON k.n = j.bulk WHERE j.n = ?", (n,)
        ).fetchone()
        return f"{job_id} ({of_column(name)})" if name else str(job_id)

    def _ending(self, n: int) -> str:
        from anyjob.ledger.encoding import decode_outcome

        state, reason, outcome = self._db.execute(
            "SELECT state, reason, outcome FROM jobs WHERE n = ?", (n,)
        ).fetchone()
        message = decode_outcome(outcome).message if outcome is not None else ""
        return ending_in_words(self._called(n), STATES[state].name, reason, message)


class _Cause(NamedTuple):
    """What is behind the end of a job: what came of the first, and who was between, the last few of them."""

    first: str
    way: tuple[str, ...]
    more: int = 0

    def by_way_of(self, called: str) -> _Cause:
        """Return the same for a job behind this one."""
        if len(self.way) < SHOWN:
            return self._replace(way=(*self.way, called))
        return self._replace(way=(*self.way[1:], called), more=self.more + 1)

    def message(self) -> str:
        """Return what those are told that fail of it."""
        if not self.way:
            return f"{BROKEN}{self.first}"
        others = f"{self.more} others, " if self.more else ""
        return f"{BROKEN}{self.first}, by way of {others}{', '.join(self.way)}"


def is_met(condition: int, status: JobStatus) -> bool:
    """Tell whether a prerequisite that has ended so has come to what was needed of it."""
    return CODE[status] in _MEETS[condition]
