"""Work that is to be done once: under which keys jobs were submitted, and which of them counts."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from anyjob.ledger.file.database import LedgerFile
from anyjob.ledger.file.sql_lists import chunks, placeholders
from anyjob.ledger.rows import CODE, FINAL, NewJob
from anyjob.status import JobStatus

_DONE = CODE[JobStatus.DONE]


class Claim(NamedTuple):
    """What is said of a job that is to be done once: its key, and the id of one that does not count."""

    key: bytes
    spent: str = ""


class KeyedJob(NamedTuple):
    """The job that was submitted last under a key."""

    job_id: str
    """Empty where it was done, and was forgotten since."""
    state: int
    reason: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is done, or may be yet: nothing is to be submitted in its place.

        Nor is it of one that never started for what came of others: after the same it would come to the same.
        """
        return bool(self.job_id) and (
            self.state < FINAL or self.state == _DONE or self.reason == "dependency"
        )


def keyed(file: LedgerFile, keys: Sequence[bytes]) -> dict[bytes, KeyedJob]:
    """Return for those of these keys under which a job was submitted which that is.

    Raises:
        StateError: the ledger cannot be read.
    """
    sql = (
        "SELECT o.key, j.id, j.state, j.reason FROM once o LEFT JOIN jobs j ON j.n = o.n WHERE o.key IN ({})"
    )
    return {
        key: KeyedJob(job_id or "", state or 0, reason or "")
        for some in chunks(keys)
        for key, job_id, state, reason in file.read(sql.format(placeholders(some)), some)
    }


def sift(
    jobs: Sequence[NewJob],
    claims: Mapping[str, Claim],
    known: Mapping[bytes, KeyedJob],
    taken: dict[str, str],
) -> list[NewJob]:
    """Return those of new jobs that are to be entered, in the transaction that enters them.

    Args:
        jobs: the jobs.
        claims: what is said of them that are to be done once, by id.
        known: what was submitted before under the keys of these.
        taken: takes up the ids of the others, and of the jobs that there are in their place.
    """
    entered = []
    for job in jobs:
        claim = claims.get(job.job_id)
        if claim is not None:
            there = known.get(claim.key)
            if there is not None and there.counts and there.job_id != claim.spent:
                taken[job.job_id] = there.job_id
                continue
            ended = there is not None and there.job_id and there.state >= FINAL
            job = job._replace(once=claim.key, rerun_of=there.job_id if there and ended else job.rerun_of)
        entered.append(job)
    return entered


def enter(db: sqlite3.Connection, jobs: Sequence[NewJob], first: int) -> None:
    """Write under which keys new jobs are submitted, numbered from ``first`` on.

    One that supersedes another takes its place under the key of that.
    """
    numbered = list(enumerate(jobs, first))
    db.executemany(
        "UPDATE once SET n = ?1 WHERE n = (SELECT original FROM reruns WHERE n = ?1)",
        [(n,) for n, job in numbered if job.rerun_of is not None],
    )
    db.executemany(
        "INSERT OR REPLACE INTO once VALUES (?, ?)", [(job.once, n) for n, job in numbered if job.once]
    )


def forget(db: sqlite3.Connection, numbers: Sequence[tuple[int]]) -> None:
    """Jobs are about to be forgotten: what was not done needs no key any more."""
    db.executemany(
        f"DELETE FROM once WHERE n = ?1 AND (SELECT state FROM jobs WHERE n = ?1) <> {_DONE}", numbers
    )


GONE = "SELECT n FROM once WHERE n NOT IN (SELECT n FROM jobs)"
"""The numbers of jobs that are not in the ledger any more, and whose keys are."""


def forget_gone(db: sqlite3.Connection, numbers: Sequence[tuple[int]]) -> None:
    """Forget the keys of jobs that have been forgotten before."""
    db.executemany("DELETE FROM once WHERE n = ?", numbers)
