"""What the tests of the ledger share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anyjob.ledger.encoding import Context
from anyjob.ledger.file.schema import faults
from anyjob.ledger.rows import BackendRow, NewJob, Prerequisite
from anyjob.ledger.store import Ledger
from anyjob.outcome import Outcome
from anyjob.status import JobStatus

DONE = Outcome(status=JobStatus.DONE, finished=1.0)
ERROR = Outcome(status=JobStatus.ERROR, reason="exit-code", finished=2.0)


@contextmanager
def sound_ledger(state: Path) -> Iterator[Ledger]:
    """A ledger of which, at the end, what it says of jobs agrees with itself."""
    made = Ledger(state)
    yield made
    with made.file._connection() as db:
        assert faults(db) == []
    made.close()


def backend(ledger: Ledger, label: str = "here", **more: Any) -> int:
    """Enter a backend."""
    values = {"type": "local", "distribution": "anyjob", "options": {}, "host": "h", **more}
    return ledger.backend(BackendRow(label, label, **values))


def new_ids(count: int) -> list[str]:
    return [os.urandom(10).hex() for _ in range(count)]


def add(
    ledger: Ledger,
    count: int = 1,
    number: int = 0,
    ids: Sequence[str] = (),
    after: tuple[Prerequisite, ...] = (),
    rerun_of: str | None = None,
    **more: Any,
) -> list[str]:
    """Add one bulk of jobs; return their ids."""
    ids = list(ids) or new_ids(count)
    values: dict[str, Any] = {
        "kind": "command",
        "native": "command",
        "context": Context(("command",), b"{}"),
        "state": JobStatus.QUEUED,
        **more,
    }
    jobs = [NewJob(job_id, job_id.encode(), rerun_of=rerun_of, after=after) for job_id in ids]
    ledger.add(number or backend(ledger), jobs, **values)
    return ids


def files_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]
