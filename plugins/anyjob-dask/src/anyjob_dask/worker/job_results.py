"""Makes results of jobs: of an outcome, and of the end of what the job wrote."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from anyjob import JobStatus, Outcome
from anyjob.sdk import read_range
from anyjob_dask.messages import JobResult
from anyjob_dask.serialization import Serialized

Logs = Mapping[str, tuple[Path, int, int | None]]
"""Which part of which file each stream is, in bytes: from where, and up to where once that is known."""
MAX_LOG = 16 * 1024 * 1024
"""Bytes of each stream that come back with the result: the end of it."""


def result_of(outcome: Outcome | None, logs: dict[str, bytes]) -> JobResult:
    """Return the result of a job.

    Args:
        outcome: what came of it; None: it was cancelled before it began.
        logs: the end of what it has written.
    """
    if outcome is None:
        return cancelled_result()
    fields = {
        name: value
        for name in outcome.__struct_fields__
        if (value := getattr(outcome, name)) is not None and value != ""
    }
    value = fields.pop("value", None)
    fields["status"] = outcome.status.name
    return JobResult(fields, None if value is None else Serialized(value), logs)


def cancelled_result() -> JobResult:
    """Return the result of a job that was cancelled before it began."""
    return JobResult({"status": JobStatus.CANCELLED.name, "finished": time.time()}, None, {})


def log_tails(logs: Logs) -> dict[str, bytes]:
    """Return the end of each stream that something was written to."""
    found = {}
    for stream, (path, start, stop) in logs.items():
        end = path.stat().st_size if stop is None else stop
        if end > start:
            found[stream] = read_range(path, max(start, end - MAX_LOG), min(end - start, MAX_LOG))
    return found
