"""The spans of a job, all in the trace of its submitter.

After OpenTelemetry's conventions for messaging, which are those for work that others do later: a span
``submit`` (PRODUCER) is made when the job is handed over, and its context goes with the job: what the job
does itself comes below it. The process that first sees the end of the job adds ``job`` (CONSUMER), from
submission to end, with ``queue`` and ``run`` below it. That may be another process, long after: so no
span is kept open, and all that is needed is in the notes of the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from anyjob import JobStatus, Outcome
from anyjob_opentelemetry import semconv
from anyjob_opentelemetry.propagation import current_context
from anyjob_opentelemetry.semconv import Attributes, Times

NOTES = "opentelemetry."
"""What the names of our notes begin with."""
_PROPAGATOR = TraceContextTextMapPropagator()


def tracer() -> trace.Tracer:
    """Return the tracer, of the provider that the program has set."""
    return trace.get_tracer("anyjob_opentelemetry")


def write_submit_span(backend: Any, job_id: str, spec: Any, resources: Any) -> Context:
    """Write the span of a submission; return the context that the job gets."""
    attributes = semconv.backend_attributes(backend, semconv.kind_of_spec(spec))
    if job_id:
        attributes[semconv.JOB_ID] = job_id
    if resources.name:
        attributes[semconv.NAME] = resources.name
    parent = current_context()
    span = tracer().start_span(
        f"submit {backend.name()}", parent, kind=SpanKind.PRODUCER, attributes=attributes
    )
    context = trace.set_span_in_context(span, parent)
    _end(span)
    return context


def to_notes(context: Context, submitted: float) -> dict[str, str]:
    """Return what is to be in the notes of a job, so that its spans can be written in any process."""
    fields: dict[str, str] = {"submitted": repr(submitted)}
    _PROPAGATOR.inject(fields, context)
    return {NOTES + key: value for key, value in fields.items()}


def from_notes(notes: Mapping[str, str]) -> tuple[Context, float | None]:
    """The inverse of `to_notes`; a context without a span where the notes have none."""
    fields = {key.removeprefix(NOTES): value for key, value in notes.items() if key.startswith(NOTES)}
    try:
        submitted = float(fields["submitted"])
    except (KeyError, ValueError):
        submitted = None
    return _PROPAGATOR.extract(fields, Context()), submitted


def write_job_spans(job: Any, outcome: Outcome, times: Times, parent: Context) -> Context:
    """Write the spans of a job that has ended; return the context of the one for all its life."""
    attributes = semconv.job_attributes(job)
    name = job.backend().name()
    details = {**semconv.end_attributes(outcome), **semconv.detail_attributes(job, outcome)}
    span = tracer().start_span(
        f"job {name}",
        parent,
        kind=SpanKind.CONSUMER,
        attributes={**attributes, **details},
        start_time=_ns(times.submitted),
    )
    context = trace.set_span_in_context(span, parent)
    if outcome.status is JobStatus.ERROR:
        _add_error(span, outcome, times)
    if times.started is not None:
        _write_child_span(f"queue {name}", context, attributes, times.submitted, times.started)
        _write_child_span(f"run {name}", context, attributes, times.started, times.finished)
    _end(span, times.finished)
    return context


def _write_child_span(name: str, parent: Context, attributes: Attributes, start: float, end: float) -> None:
    span = tracer().start_span(name, parent, attributes=attributes, start_time=_ns(start))
    _end(span, end)


def _add_error(span: Span, outcome: Outcome, times: Times) -> None:
    span.set_status(Status(StatusCode.ERROR, outcome.message or outcome.reason))
    if outcome.traceback:
        kind, _, message = outcome.message.partition(": ")
        event = {
            "exception.type": kind,
            "exception.message": message,
            "exception.stacktrace": outcome.traceback,
        }
        span.add_event("exception", event, _ns(times.finished))


def _end(span: Span, when: float | None = None) -> None:
    """End a span; whatever becomes of it, the trace goes on."""
    try:
        span.end(None if when is None else _ns(when))
    except Exception as error:  # a span processor of the program's
        from anyjob_opentelemetry.guard import log_once

        log_once("a span processor", error)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
