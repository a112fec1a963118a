"""What the tests know of spans and metrics, and the work that they submit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import anyjob_opentelemetry
from opentelemetry import trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext

PATIENCE = 60.0
"""Seconds after which a test that waits for something gives up."""


class Spans(SpanExporter):
    """Keeps the spans that were written; one can be waited for."""

    def __init__(self) -> None:
        self._written: list[ReadableSpan] = []
        self._changed = threading.Condition()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._changed:
            self._written += spans
            self._changed.notify_all()
        return SpanExportResult.SUCCESS

    def clear(self) -> None:
        with self._changed:
            self._written.clear()

    @property
    def names(self) -> list[str]:
        return [span.name for span in self._written]

    def wait(self, name: str) -> ReadableSpan:
        """Return the one span of this name, which may be written a little later."""
        with self._changed:
            assert self._changed.wait_for(lambda: name in self.names, PATIENCE), (name, self.names)
            (found,) = [span for span in self._written if span.name == name]
            return found

    def of_job(self, backend: str) -> tuple[ReadableSpan, ReadableSpan]:
        """Return the spans of the submission and of the whole of the one job of a backend."""
        job = self.wait(f"job {backend}")
        return self.wait(f"submit {backend}"), job


class Recorded:
    """The metrics that were recorded since the last look."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def points(self) -> dict[str, Any]:
        """Return the points of each metric, by its name."""
        data = self._reader.get_metrics_data()
        found = {}
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found[metric.name] = metric.unit, list(metric.data.data_points)
        return found


def context_of(span: Any) -> SpanContext:
    context = span.get_span_context()
    assert isinstance(context, SpanContext)
    return context


def is_child(child: ReadableSpan, parent: Any) -> bool:
    """Ask whether a span is right below another, in one trace."""
    above, context = child.parent, context_of(parent)
    return (
        above is not None
        and above.span_id == context.span_id
        and context_of(child).trace_id == context.trace_id
    )


def seen() -> tuple[int, int]:
    """In a job: which trace it is in, and below which span."""
    with anyjob_opentelemetry.attach():
        context = trace.get_current_span().get_span_context()
    return context.trace_id, context.span_id


def fail() -> None:
    raise ValueError("no such orbit: 7")
