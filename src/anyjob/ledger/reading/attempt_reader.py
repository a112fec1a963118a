"""What is read of the attempts of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from anyjob.ledger.file.database import LedgerFile
from anyjob.ledger.file.sql_lists import chunks, placeholders
from anyjob.ledger.rows import DUE, FINAL

if TYPE_CHECKING:
    from anyjob.ledger.rows import Row
    from anyjob.outcome import Outcome


_DUE = (
    "j.id, j.backend, j.attempt, a.due, a.wait, "
    "(SELECT count(*) FROM attempts o WHERE o.n = j.n AND o.kind <> 'retry'), k.context"
)


class DueAttempt(NamedTuple):
    """A job whose next attempt is due at some time, in seconds since 1970."""

    job_id: str
    backend: int
    attempt: int
    due: float
    wait: float
    """How long it was to wait when that was written."""
    others: int
    """How many of its attempts were no retries."""
    context: bytes

    def in_words(self, now: float) -> str:
        """Return that as a listing has it, at a time."""
        from anyjob.execution.next_attempt import still_to_wait
        from anyjob.ledger.encoding import decode_context, decode_resources

        policy = decode_resources(decode_context(self.context).resources).retries
        most = 0 if policy is None else 1 + policy.times + self.others
        of = f" of {most}" if most >= self.attempt else ""
        return f"attempt {self.attempt}{of}, again in {still_to_wait(self.due, self.wait, now):.0f} s"


class EndedAttempt(NamedTuple):
    """An attempt that was followed by another one."""

    attempt: int
    kind: str
    """Why there was another one: see `next_attempt.Kind`."""
    native_id: str | None
    outcome: Outcome


class AttemptReader:
    """Reads of a ledger which attempts there were; its methods raise `StateError` where it cannot be read."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def due_attempts(self, backends: Sequence[int]) -> list[DueAttempt]:
        """Return the jobs of these backends that go again, and when."""
        sql = (
            f"SELECT {_DUE} FROM jobs j INDEXED BY jobs_state "
            "CROSS JOIN attempts a ON a.n = j.n AND a.attempt = j.attempt - 1 CROSS JOIN bulks k "
            f"ON k.n = j.bulk WHERE j.backend = ? AND j.state = {DUE}"
        )
        return [DueAttempt(*row) for number in backends for row in self._file.read(sql, (number,))]

    def due(self, job_ids: Sequence[str]) -> dict[str, DueAttempt]:
        """Return when those of these jobs go again that do, by id."""
        sql = (
            f"SELECT {_DUE} FROM jobs j CROSS JOIN attempts a ON a.n = j.n AND a.attempt = j.attempt - 1 "
            f"CROSS JOIN bulks k ON k.n = j.bulk WHERE +j.state = {DUE} AND j.id IN ({{}})"
        )
        return {
            row[0]: DueAttempt(*row)
            for some in chunks(job_ids)
            for row in self._file.read(sql.format(placeholders(some)), some)
        }

    def backends_with_due(self, host: str | None = None) -> list[int]:
        """Return the numbers of the backends, of a host's own or of all, that have jobs which go again."""
        sql = (
            "SELECT b.n FROM backends b WHERE (?1 IS NULL OR b.host = ?1) AND EXISTS "
            f"(SELECT 1 FROM jobs j WHERE j.backend = b.n AND j.state = {DUE})"
        )
        return [row[0] for row in self._file.read(sql, (host,))]

    def ended(self, job_id: str) -> list[EndedAttempt]:
        """Return the attempts of a job that were followed by another one, the first of them first."""
        from anyjob.ledger.encoding import decode_outcome

        sql = (
            "SELECT a.attempt, a.kind, a.native_id, a.outcome FROM jobs j "
            "CROSS JOIN attempts a ON a.n = j.n WHERE j.id = ? ORDER BY a.attempt"
        )
        return [
            EndedAttempt(attempt, kind, native_id, decode_outcome(outcome))
            for attempt, kind, native_id, outcome in self._file.read(sql, (job_id,))
        ]

    def retried(self, job_id: str) -> int:
        """Return how often a job was run again by its policy so far."""
        return self._retries([job_id]).get(job_id, (0, 0))[0]

    def retried_often(self, job_ids: Sequence[str]) -> dict[str, int]:
        """Return how often those of these jobs were run again by their policies that were, by id."""
        return {job_id: times for job_id, (times, _) in self._retries(job_ids).items()}

    def launched_attempts(self, rows: Iterable[Row]) -> dict[str, int]:
        """Return which attempts of jobs their engines were given, where that was not the first.

        What an engine starts anew by itself is the one that it was given still. An engine of our own making
        is given each, under the id of the job.
        """
        found = self._retries([row.job_id for row in rows if row.attempt > 1])
        return {job_id: last + 1 for job_id, (_, last) in found.items()}

    def _retries(self, job_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Return how often jobs were run again by their policies, and the last attempt that was handed over
        before the one that is."""
        sql = (
            "SELECT j.id, sum(a.kind = 'retry'), max(a.attempt) FROM jobs j "
            "CROSS JOIN attempts a ON a.n = j.n "
            "WHERE a.kind IN ('retry', 'dependency') AND j.id IN ({}) GROUP BY j.id"
        )
        return {
            job_id: (times, last)
            for some in chunks(job_ids)
            for job_id, times, last in self._file.read(sql.format(placeholders(some)), some)
        }

    def attempt_ids(self, job_ids: Sequence[str]) -> list[str]:
        """Return the ids that engines were given attempts of these jobs under, but for the first of each."""
        from anyjob.outputs.attempt_files import attempt_id

        sql = (
            "SELECT j.id, a.attempt FROM jobs j CROSS JOIN attempts a ON a.n = j.n "
            "WHERE a.kind <> 'requeue' AND j.id IN ({})"
        )
        return [
            attempt_id(job_id, attempt + 1)
            for some in chunks(job_ids)
            for job_id, attempt in self._file.read(sql.format(placeholders(some)), some)
        ]

    def strangers(self, directories: Sequence[str]) -> set[str]:
        """Return those of these directories in a spool that are neither of a job nor of an attempt of one."""
        from anyjob.outputs.attempt_files import attempt_id

        left = set(directories)
        for some in chunks(directories):
            sql = f"SELECT id FROM jobs WHERE id IN ({placeholders(some)})"
            left.difference_update(row[0] for row in self._file.read(sql, some))
        if left:  # the next attempt may be about to begin
            several = self._file.read("SELECT id, attempt FROM jobs WHERE attempt > 1 OR state = ?", (DUE,))
            for job_id, last in several:
                left.difference_update(attempt_id(job_id, number) for number in range(2, last + 2))
        return left

    def may_go_again(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of these jobs that may have several attempts, and have not ended."""
        sql = (
            "SELECT j.id FROM jobs j CROSS JOIN bulks k ON k.n = j.bulk "
            f"WHERE k.again AND +j.state < {FINAL} AND j.id IN ({{}})"
        )
        return [
            job_id
            for some in chunks(job_ids)
            for (job_id,) in self._file.read(sql.format(placeholders(some)), some)
        ]
