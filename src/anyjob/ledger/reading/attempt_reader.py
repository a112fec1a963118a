"""What is read of the attempts of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from anyjob.ledger.file.database import LedgerFile
from anyjob.ledger.rows import DUE
from anyjob.ledger.sql_lists import chunks, placeholders

if TYPE_CHECKING:
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
    """Why there was another one: ``retry``, ``requeue`` or ``lost``."""
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
        sql = (
            "SELECT count(*) FROM jobs j CROSS JOIN attempts a ON a.n = j.n "
            "WHERE j.id = ? AND a.kind = 'retry'"
        )
        return int(self._file.read(sql, (job_id,))[0][0])
