"""The hooks around a submission. OpenTelemetry is imported when there is a job to record.

Where OpenTelemetry is not in use in a process (nothing has imported it), nothing is recorded and nothing is
imported. Nor is the hook `anyjob_finished` implemented there: it is called once for each job, so that is left
to a process that has use for it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from anyjob import hookimpl
from anyjob_opentelemetry.guard import log_errors

if TYPE_CHECKING:
    from opentelemetry.context import Context

PROVIDERS = ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER")


def in_use() -> bool:
    """Whether anybody in this process may have set a provider."""
    return "opentelemetry" in sys.modules or any(name in os.environ for name in PROVIDERS)


if in_use():
    from anyjob_opentelemetry.finished_hook import anyjob_finished as anyjob_finished

_registered: weakref.WeakSet[Any] = weakref.WeakSet()


def _register_finished_hook(session: Any) -> None:
    """Register the hook `anyjob_finished`, where OpenTelemetry was set up after the hooks were loaded."""
    hooks = session.registry.hooks
    if hooks not in _registered:
        _registered.add(hooks)
        if "anyjob_finished" not in globals():
            from anyjob_opentelemetry import finished_hook

            hooks.register(finished_hook)


class _Submission(threading.local):
    """What this thread submits: the hooks are called one after the other for the same job."""

    job_id: str | None = None
    context: Context | None = None
    submitted: float = 0.0


_submission = _Submission()


@hookimpl(trylast=True)  # work that another hook refuses has no span
@log_errors
def anyjob_before_submit(
    session: Any, backend: Any, job_id: str, spec: Any, resources: Any
) -> dict[str, str] | None:
    """Write the span of the submission, and put its trace context into the notes of the job."""
    _submission.context = None
    if not in_use():
        return None
    from anyjob_opentelemetry import spans

    _register_finished_hook(session)
    submitted = time.time()
    context = spans.write_submit_span(backend, job_id, spec, resources)
    _submission.job_id, _submission.context, _submission.submitted = job_id, context, submitted
    return spans.to_notes(context, submitted)


@hookimpl
@log_errors
def anyjob_job_environment(job_id: str) -> dict[str, str] | None:
    """Propagate the trace context to the job."""
    context = _submission.context
    if context is None or _submission.job_id != job_id:
        return None
    from anyjob_opentelemetry import propagation

    return propagation.inject(context)


@hookimpl
@log_errors
def anyjob_submitted(job: Any) -> None:
    """Count the job."""
    if not in_use():
        return
    from anyjob_opentelemetry import finished_hook, metrics

    if not hasattr(job, "notes") and _submission.job_id == "" and _submission.context is not None:
        finished_hook.remember_plain_job(job, _submission.context, _submission.submitted)
    metrics.count_submitted(job)
