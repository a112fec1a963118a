"""A row of the ledger as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyjob.ledger.rows import Row, Summary


def row_data(
    row: Row, tags: Mapping[str, str], summary: Summary, message: str, parent: str
) -> dict[str, Any]:
    """Return what the ledger has of a job, with what is said of it; times are in seconds since 1970."""
    return {
        "job_id": row.job_id,
        "name": row.name,
        "work": summary.work,
        "parameters": summary.parameters,
        "tags": tags,
        "kind": row.kind,
        "backend": row.label,
        "native_id": row.native_id,
        "state": row.status.name,
        "reason": row.reason,
        "message": message,
        "attempt": row.attempt,
        "parent": parent or None,
        "submitted": row.submitted,
        "started": row.started,
        "finished": row.finished,
    }
