"""Trace context in notes and in environment variables: pure functions, there and back."""

from __future__ import annotations

import os

import pytest
from anyjob_opentelemetry import propagation, semconv, spans
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from anyjob.outcome import Outcome
from anyjob.status import JobStatus

keys = st.from_regex(r"[a-z][a-z0-9_*/-]{0,20}", fullmatch=True)
values = st.from_regex(r"[!-+\--<>-~]{1,20}", fullmatch=True)
contexts = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.just(True),
    st.sampled_from([TraceFlags(0), TraceFlags(1)]),
    st.dictionaries(keys, values, max_size=3).map(lambda found: TraceState(list(found.items()))),
)


def within(span: SpanContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(span), Context())


def span_in(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()


@given(contexts, st.floats(0, 1e11))
def test_notes_give_back_what_was_noted(span: SpanContext, submitted: float) -> None:
    context, when = spans.from_notes(spans.to_notes(within(span), submitted))
    assert (span_in(context), when) == (span, submitted)


@given(st.dictionaries(st.text().map(lambda key: "opentelemetry." + key), st.text()))
def test_notes_that_make_no_sense_are_no_trace(notes: dict[str, str]) -> None:
    notes.pop("opentelemetry.submitted", None)
    notes.pop("opentelemetry.traceparent", None)
    context, when = spans.from_notes({**notes, "opentelemetry.traceparent": "nonsense", "acme": "x"})
    assert not span_in(context).is_valid
    assert when is None


@given(contexts)
def test_a_job_finds_what_it_was_given(span: SpanContext) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in propagation.inject(within(span)).items():
            patch.setitem(os.environ, name, value)
        with propagation.Attached():
            assert trace.get_current_span().get_span_context() == span
        assert span_in(propagation.current_context()) == span
    assert not span_in(propagation.current_context()).is_valid


@pytest.mark.parametrize(
    ("field", "name"),
    [("traceparent", "TRACEPARENT"), ("x-b3-traceid", "X_B3_TRACEID"), ("9ö", "_9_"), ("", "")],
)
def test_names_of_variables(field: str, name: str) -> None:
    assert propagation.variable(field) == name


time = st.floats(0, 1e10)


@given(st.none() | time, st.none() | time, st.none() | time)
def test_times_are_in_order_whatever_the_clocks_say(
    submitted: float | None, started: float | None, finished: float | None
) -> None:
    outcome = Outcome(status=JobStatus.DONE, started=started, finished=finished)
    times = semconv.times_of(object(), outcome, submitted)
    assert times.submitted <= (times.submitted if times.started is None else times.started) <= times.finished
    assert (times.started is None) == (started is None)
    if submitted is not None:
        assert times.submitted == submitted
