"""The newest jobs as plain data: what has not changed since it was read last is the same object as before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyjob.ledger.reading.reader import LedgerReader
from anyjob.ledger.rows import Row
from anyjob.text.printable import printable, shortened
from anyjob.views import queries
from anyjob.views.reported_job import ReportedJob

LONGEST = 200
"""Characters of a text of a list."""


class JobList:
    """The newest jobs of a ledger, those left out that were run anew.

    Args:
        ledger: where they are.
        limit: how many, at most.
    """

    def __init__(self, ledger: LedgerReader, limit: int) -> None:
        self._ledger, self._limit = ledger, limit
        self._rows: dict[str, Row] = {}
        self._shown: dict[str, Mapping[str, Any]] = {}

    def read(self, newest: int | None = None) -> dict[str, Mapping[str, Any]]:
        """Return the jobs by id, the newest first; only so many, where that is said."""
        ledger, limit = self._ledger, min(self._limit, newest or self._limit)
        rows = ledger.select(limit=limit, superseded=False) if ledger.exists else []
        changed = [row for row in rows if self._rows.get(row.job_id) != row]
        told = queries.reported(ledger, changed)
        fresh = {row.job_id: {"n": row.n, **as_data(job)} for row, job in zip(changed, told, strict=True)}
        before = self._shown
        self._shown = {row.job_id: fresh.get(row.job_id) or before[row.job_id] for row in reversed(rows)}
        self._rows = {row.job_id: row for row in rows}
        return self._shown


def as_data(job: ReportedJob) -> dict[str, Any]:
    """Return a job as a list shows it: times in seconds since 1970, sizes in bytes."""
    texts = {
        "name": job.name,
        "backend": job.backend,
        "kind": job.kind,
        "work": job.work,
        "reason": job.reason,
        "message": job.message.partition("\n")[0],
        "host": job.host,
        "tags": " ".join(f"{key}={value}" for key, value in job.tags.items()),
    }
    return {
        "id": job.job_id,
        "state": job.state,
        **{key: _text(value) for key, value in texts.items()},
        "attempt": job.attempt,
        "submitted": job.submitted,
        "started": job.started,
        "finished": job.finished,
        "cpus": job.cpus,
        "gpus": job.gpus,
        "memory": job.memory,
        "cpu_time": job.cpu_time,
        "peak_memory": job.peak_memory,
    }


def _text(text: str) -> str:
    return shortened(printable(text), LONGEST)
