"""What is read of jobs that start after others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from anyjob.ledger.dependencies import RESULT
from anyjob.ledger.file.database import LedgerFile
from anyjob.ledger.file.sql_lists import chunks, placeholders
from anyjob.ledger.rows import BLOCKED, FINAL, GROUP_OF_J, MAY_WAIT, Prerequisite, of_column, status_of
from anyjob.status import JobStatus

_WAITING = ",".join(map(str, MAY_WAIT))


class Needed(NamedTuple):
    """A job that another starts after."""

    job_id: str
    name: str
    condition: int
    status: JobStatus


class Awaited(NamedTuple):
    """What a job waits for that may not start yet: one of the jobs, its name, and how many there are."""

    job_id: str
    name: str
    unmet: int

    def in_words(self) -> str:
        """Return that as a listing has it."""
        others = f" and {self.unmet - 1} more" if self.unmet > 1 else ""
        return f"waits for {self.job_id[:7]}{f' ({self.name})' if self.name else ''}{others}"


class DependencyReader:
    """Reads of a ledger what waits for what; its methods raise `StateError` where it cannot be read."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def awaited(self, job_ids: Sequence[str]) -> dict[str, Awaited]:
        """Return for those of these jobs that wait for others what that is, by id."""
        groups: dict[int, tuple[str, str, int]] = {}
        found: dict[str, Awaited] = {}
        sql = (
            "SELECT j.id, g.n, g.unmet FROM jobs j CROSS JOIN dependents g "
            f"ON {GROUP_OF_J} WHERE +j.state IN ({_WAITING}) AND g.unmet > 0 AND j.id IN ({{}})"
        )
        for some in chunks(job_ids):
            for job_id, group, unmet in self._file.read(sql.format(placeholders(some)), some):
                if group not in groups:
                    first = self._file.read(
                        "SELECT p.id, k.name FROM dependencies d CROSS JOIN jobs p ON p.n = d.prerequisite "
                        "CROSS JOIN bulks k ON k.n = p.bulk "
                        f"WHERE d.dependent = ? AND p.state < {FINAL} LIMIT 1",
                        (group,),
                    )
                    groups[group] = (first[0][0], of_column(first[0][1]), unmet) if first else ("", "", 0)
                if groups[group][0]:
                    found[job_id] = Awaited(*groups[group])
        return found

    def prerequisites(self, job_id: str) -> list[Needed]:
        """Return what a job starts after, or has started after; those that are forgotten are left out."""
        sql = (
            "SELECT p.id, k.name, d.condition, p.state FROM jobs j CROSS JOIN dependents g "
            f"ON {GROUP_OF_J} CROSS JOIN dependencies d ON d.dependent = g.n "
            "CROSS JOIN jobs p ON p.n = d.prerequisite CROSS JOIN bulks k ON k.n = p.bulk "
            "WHERE j.id = ? ORDER BY p.n"
        )
        return [
            Needed(other, of_column(name), condition, status_of(state))
            for other, name, condition, state in self._file.read(sql, (job_id,))
        ]

    def results_for(self, job_id: str) -> Iterator[tuple[str, bytes | None]]:
        """Yield the jobs whose results are arguments of a call: id, and what came of it as it was written."""
        needed = self._file.read(
            "SELECT d.prerequisite FROM jobs j CROSS JOIN dependents g "
            f"ON {GROUP_OF_J} CROSS JOIN dependencies d ON d.dependent = g.n "
            f"WHERE j.id = ? AND d.condition = {RESULT}",
            (job_id,),
        )
        for some in chunks([n for (n,) in needed]):
            yield from self._file.read(
                f"SELECT id, outcome FROM jobs WHERE n IN ({placeholders(some)})", some
            )

    def prerequisites_of(self, job_ids: Sequence[str]) -> dict[str, frozenset[Prerequisite]]:
        """Return what jobs start after, by id; nothing of those that start after nothing that is known."""
        groups: dict[int, frozenset[Prerequisite]] = {}
        found: dict[str, frozenset[Prerequisite]] = {}
        sql = f"SELECT j.id, g.n FROM jobs j CROSS JOIN dependents g ON {GROUP_OF_J} WHERE j.id IN ({{}})"
        edges = (
            "SELECT p.id, d.condition FROM dependencies d CROSS JOIN jobs p ON p.n = d.prerequisite "
            "WHERE d.dependent = ?"
        )
        for some in chunks(job_ids):
            for job_id, group in self._file.read(sql.format(placeholders(some)), some):
                if group not in groups:
                    groups[group] = frozenset(map(Prerequisite._make, self._file.read(edges, (group,))))
                found[job_id] = groups[group]
        return found

    def dependents(self, job_ids: Sequence[str]) -> list[tuple[str, Prerequisite]]:
        """Return the ids of the jobs that start after these, or have, each with which that is, and how."""
        sql = (
            "SELECT j.id, p.id, d.condition FROM jobs p CROSS JOIN dependencies d ON d.prerequisite = p.n "
            "CROSS JOIN dependents g ON g.n = d.dependent CROSS JOIN jobs j ON j.n BETWEEN g.n AND g.last "
            "WHERE p.id IN ({}) ORDER BY j.n"
        )
        return [
            (job_id, Prerequisite(other, condition))
            for some in chunks(job_ids)
            for job_id, other, condition in self._file.read(sql.format(placeholders(some)), some)
        ]

    def broken_by(self, job_id: str) -> str | None:
        """Return the job of whose end one has failed that was to start after it, if that is known still."""
        sql = (
            "SELECT p.id FROM jobs j CROSS JOIN dependents g "
            f"ON {GROUP_OF_J} CROSS JOIN jobs p ON p.n = g.broken_by "
            "WHERE j.id = ? AND j.reason = 'dependency'"
        )
        found = self._file.read(sql, (job_id,))
        return str(found[0][0]) if found else None

    def is_last_needed(self, job_ids: Sequence[str]) -> bool:
        """Tell whether the end of one of these jobs, which have not ended yet, is all that others need."""
        sql = (
            "SELECT 1 FROM jobs j CROSS JOIN dependencies d ON d.prerequisite = j.n "
            f"CROSS JOIN dependents g ON g.n = d.dependent WHERE +j.state < {FINAL} AND g.unmet = 1 "
            "AND j.id IN ({}) LIMIT 1"
        )
        return any(self._file.read(sql.format(placeholders(some)), some) for some in chunks(job_ids))

    def any_waiting(self, host: str) -> bool:
        """Tell whether any job of a host's own backends may not start before others have ended."""
        sql = (
            "SELECT 1 FROM backends b WHERE b.host = ? AND EXISTS "
            f"(SELECT 1 FROM jobs j WHERE j.backend = b.n AND j.state = {BLOCKED})"
        )
        return bool(self._file.read(sql, (host,)))
