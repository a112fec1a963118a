"""Jobs that jobs have submitted: they belong to these, and are cancelled with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anyjob import _typing as t
from anyjob.errors import AnyjobError
from anyjob.process.reporting import report


def cancel_children(backend: t.TaskBackend, job_ids: Sequence[str]) -> None:
    """Cancel what these jobs have submitted that has not ended, and what that has; what cannot be is told."""
    try:
        ledger = backend.services.ledger
        found = ledger.open_children(job_ids) if ledger.exists else []
    except AnyjobError as error:  # the jobs are cancelled, and need not be in there
        report("what cancelled jobs have submitted is not known, and goes on: %s", error)
        return
    by_backend: dict[int, list[Any]] = {}
    for job in backend.services.jobs(backend, found).values() if found else ():
        by_backend.setdefault(id(job.backend()), []).append(job)
    for some in by_backend.values():
        there = some[0].backend()
        try:
            there.cancel_many(some)
        except AnyjobError as error:
            report("jobs of %s that a cancelled job has submitted are not cancelled: %s", there, error)
