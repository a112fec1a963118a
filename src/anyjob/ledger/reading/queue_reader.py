"""What is read of the jobs of a backend that wait and run, by whoever keeps its queue in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from anyjob.ledger.file.database import LedgerFile
from anyjob.ledger.rows import BLOCKED, CANCELLING, CODE, DUE, FINAL, HELD, OPEN
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.ledger.encoding import Context


class WaitingRow(NamedTuple):
    """What is read of a job that waits; ``priority`` is what it was given in place of what it asked for."""

    n: int
    job_id: str
    bulk: int
    attempt: int
    payload: bytes | None
    priority: int | None


class QueueReader:
    """Reads the queues of a ledger; its methods raise `StateError` where it cannot be read."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def rows(self, backend: int, after: int, limit: int, until: int = 1 << 62) -> list[WaitingRow]:
        """Return jobs of a backend that wait, less those held, in the order of their numbers.

        Args:
            backend: the number of the backend.
            after: the number of the last one that is not wanted.
            limit: how many at most.
            until: the number of the last one that is.
        """
        found = self._file.read(
            "SELECT j.n, j.id, j.bulk, j.attempt, w.payload, j.priority "
            "FROM jobs j LEFT JOIN work w ON w.n = j.n WHERE j.backend = ? AND j.state = 1 "
            "AND j.reason IS NOT ? AND j.n > ? AND j.n <= ? ORDER BY j.n LIMIT ?",
            (backend, HELD, after, until, limit),
        )
        return list(map(WaitingRow._make, found))

    def waiting_bulks(self, backend: int, after: int, limit: int) -> list[tuple[int, int, Context]]:
        """Return the bulks with jobs of a backend that wait, in order: first such job, last job, context.

        From one bulk to the next it is a step in an index, however many jobs each has.

        Args:
            backend: the number of the backend.
            after: jobs of numbers above this.
            limit: how many bulks at most.
        """
        from anyjob.ledger.encoding import decode_context

        of_backend = "FROM jobs j INDEXED BY jobs_state WHERE j.backend = ?1 AND j.state = 1"
        last = "SELECT k.last FROM jobs o JOIN bulks k ON k.n = o.bulk WHERE o.n = open.n"
        sql = (
            f"WITH RECURSIVE open (n) AS (SELECT (SELECT j.n {of_backend} AND j.n > ?2 ORDER BY j.n LIMIT 1) "
            f"UNION ALL SELECT (SELECT j.n {of_backend} AND j.n > ({last}) ORDER BY j.n LIMIT 1) "
            "FROM open WHERE open.n IS NOT NULL LIMIT ?3) SELECT open.n, k.last, k.context "
            "FROM open CROSS JOIN jobs j ON j.n = open.n CROSS JOIN bulks k ON k.n = j.bulk"
        )
        found = self._file.read(sql, (backend, after, limit))
        return [(first, final, decode_context(context)) for first, final, context in found]

    def with_own_priority(self, backend: int, after: int) -> list[tuple[int, int, int]]:
        """Return the jobs of a backend that wait, and were given a priority: n, bulk, priority."""
        sql = (
            "SELECT n, bulk, priority FROM jobs INDEXED BY jobs_priority WHERE priority IS NOT NULL "
            "AND backend = ? AND +state = 1 AND n > ? ORDER BY n"
        )
        return self._file.read(sql, (backend, after))

    def open_backends(self, host: str) -> list[int]:
        """Return the numbers of a host's own backends that have jobs which have not ended."""
        sql = (
            "SELECT b.n FROM backends b WHERE b.host = ? AND EXISTS "
            f"(SELECT 1 FROM jobs j WHERE j.backend = b.n AND j.state < {FINAL})"
        )
        return [row[0] for row in self._file.read(sql, (host,))]

    def backends_with_waiting(self, host: str) -> list[int]:
        """Return the numbers of a host's own backends that have jobs which wait, and are not held."""
        sql = (
            "SELECT b.n FROM backends b WHERE b.host = ? AND EXISTS (SELECT 1 FROM jobs j "
            f"WHERE j.backend = b.n AND j.state = {CODE[JobStatus.QUEUED]} AND j.reason IS NOT '{HELD}')"
        )
        return [row[0] for row in self._file.read(sql, (host,))]

    def in_state(self, backend: int, status: JobStatus) -> list[tuple[str, int]]:
        """Return id and attempt of the jobs of a backend that are in one state."""
        sql = "SELECT id, attempt FROM jobs WHERE backend = ? AND state = ? ORDER BY n"
        return self._file.read(sql, (backend, CODE[status]))

    def waiting(self, backend: int) -> list[tuple[str, int, int | None]]:
        """Return the jobs of a backend that wait, less those held: id, bulk, the priority each was given."""
        sql = (
            "SELECT id, bulk, priority FROM jobs "
            "WHERE backend = ? AND state = 1 AND reason IS NOT ? ORDER BY n"
        )
        return self._file.read(sql, (backend, HELD))

    def being_cancelled(self, backend: int) -> list[str]:
        """Return the ids of the jobs of a backend that have not ended, and a cancel of which was accepted."""
        sql = f"SELECT id FROM jobs WHERE backend = ? AND state IN ({OPEN}) AND reason = ?"
        return [row[0] for row in self._file.read(sql, (backend, CANCELLING))]

    def open_in_bulk(self, bulk: int) -> int:
        """Return how many jobs of a bulk have not ended."""
        sql = (
            "SELECT count(*) FROM bulks k CROSS JOIN jobs j INDEXED BY jobs_state ON j.backend = k.backend "
            f"AND j.state IN ({OPEN}) AND j.n BETWEEN k.first AND k.last WHERE k.n = ?"
        )
        return int(self._file.read(sql, (bulk,))[0][0])

    def waiting_contexts(self, backend: int) -> list[Context]:
        """Return what the bulks say that have jobs of a backend which wait, for whatever it be."""
        from anyjob.ledger.encoding import decode_context

        states = f"{DUE}, {BLOCKED}, {CODE[JobStatus.INITIALIZING]}, {CODE[JobStatus.QUEUED]}"
        waiting = f"SELECT DISTINCT bulk FROM jobs WHERE backend = ? AND state IN ({states})"
        sql = f"SELECT context FROM bulks WHERE n IN ({waiting})"
        return [decode_context(context) for (context,) in self._file.read(sql, (backend,))]
