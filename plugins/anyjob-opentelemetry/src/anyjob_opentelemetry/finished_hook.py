"""The hook at the end of a job, in whichever process first hears of it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from anyjob import hookimpl
from anyjob_opentelemetry.guard import harmless

if TYPE_CHECKING:
    from opentelemetry.context import Context

_plain: weakref.WeakKeyDictionary[Any, tuple[Context, float]] = weakref.WeakKeyDictionary()
"""What is noted with other jobs, of those of plain backends, with which nothing is noted."""


def remember(job: Any, context: Context, submitted: float) -> None:
    """Keep in memory what trace a plain job is in, and when it was submitted."""
    _plain[job] = context, submitted


@hookimpl
@harmless
def anyjob_finished(job: Any, outcome: Any) -> None:
    """Write the spans of the job, and record its times."""
    from opentelemetry.context import Context

    from anyjob_opentelemetry import metrics, semconv, spans

    submitted: float | None
    if hasattr(job, "notes"):
        parent, submitted = spans.from_notes(job.notes())
    else:
        parent, submitted = _plain.pop(job, (Context(), None))
    times = semconv.times_of(job, outcome, submitted)
    context = spans.write_job(job, outcome, times, parent)
    metrics.record_end(job, outcome, times, context)
