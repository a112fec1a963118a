"""Tracer and meter providers that export into memory, and sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from telemetry import Recorded, Spans

from anyjob import Session

Open = Callable[..., Session]


@pytest.fixture(scope="session")
def _providers() -> tuple[Spans, InMemoryMetricReader]:
    """Set the providers of this process, as a program does: that can be done once."""
    spans = Spans()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    delta = AggregationTemporality.DELTA
    reader = InMemoryMetricReader(preferred_temporality={Counter: delta, Histogram: delta})
    metrics.set_meter_provider(MeterProvider([reader]))
    return spans, reader


@pytest.fixture
def spans(_providers: tuple[Spans, InMemoryMetricReader]) -> Spans:
    """The spans that are written during the test."""
    _providers[0].clear()
    return _providers[0]


@pytest.fixture
def recorded(_providers: tuple[Spans, InMemoryMetricReader]) -> Recorded:
    """The metrics that are recorded during the test."""
    _providers[1].collect()
    return Recorded(_providers[1])


@pytest.fixture
def opened(anyjob_open: Open) -> Open:
    """Gives sessions on one state directory: with a backend of one slot, and what else is registered."""

    def open_session(**backends: type[Any]) -> Session:
        session = anyjob_open({"backends": {"one": {"type": "threads", "slots": 1}}})
        for name, backend in backends.items():
            session.registry.register_backend(name, backend)
        return session

    return open_session


@pytest.fixture
def state(anyjob_environment: Path) -> Path:
    """The state directory of these sessions."""
    return anyjob_environment / "state"
