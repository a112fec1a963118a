"""Has what starts after jobs do so without them: for a cancel that is not to go down the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyjob import _typing as t
from anyjob.ledger.end_effects import NOTHING
from anyjob.runtime.dependencies import held_jobs, kept_results

if TYPE_CHECKING:
    from collections.abc import Sequence


def let_go(backend: t.TaskBackend, job_ids: Sequence[str]) -> None:
    """Have what starts after these jobs wait for them no more, unless it needs their results.

    Raises:
        StateError: it cannot be written.
    """
    if backend.capabilities.durable:
        effects = backend.services.ledger.let_go(job_ids)
        if effects != NOTHING:
            backend.services.advance(effects)
    held_jobs.let_go(frozenset(job_ids))
    kept_results.let_go(frozenset(job_ids))
