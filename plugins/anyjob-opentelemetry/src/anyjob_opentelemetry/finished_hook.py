"""The hook at the end of a job, in whichever process first sees it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from anyjob import hookimpl
from anyjob_opentelemetry.guard import log_errors

if TYPE_CHECKING:
    from opentelemetry.context import Context

_plain_jobs: weakref.WeakKeyDictionary[Any, tuple[Context, float]] = weakref.WeakKeyDictionary()
"""Trace context and time of submission of jobs of plain backends, which have no notes to keep them in."""


def remember_plain_job(job: Any, context: Context, submitted: float) -> None:
    """Keep in memory the trace context of a plain job, and when it was submitted."""
    _plain_jobs[job] = context, submitted


@hookimpl
@log_errors
def anyjob_finished(job: Any, outcome: Any) -> None:
    """Write the spans of the job, and record its times."""
    from opentelemetry.context import Context

    from anyjob_opentelemetry import metrics, semconv, spans

    submitted: float | None
    if hasattr(job, "notes"):
        parent, submitted = spans.from_notes(job.notes())
    else:
        parent, submitted = _plain_jobs.pop(job, (Context(), None))
    times = semconv.times_of(job, outcome, submitted)
    context = spans.write_job_spans(job, outcome, times, parent)
    metrics.record_end(job, outcome, times, context)
