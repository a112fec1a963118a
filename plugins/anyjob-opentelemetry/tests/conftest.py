"""Tracer and meter providers that export into memory, and sessions with directories of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from telemetry import Recorded, Spans

from anyjob import Config, Registry, Session
from anyjob.testing.environment.leftovers import end_leftovers

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
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory, and a place for sockets, whose processes end with the test."""
    runtime = Path(tempfile.mkdtemp(prefix="anyjob-test-", dir="/tmp"))  # sockets need a short path
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    yield tmp_path / "state"
    end_leftovers(runtime)
    shutil.rmtree(runtime)


@pytest.fixture
def opened(state: Path) -> Iterator[Open]:
    """Gives sessions on the state directory: with a backend of one slot, and what else is registered."""
    made: list[Session] = []

    def make(**backends: type[Any]) -> Session:
        registry = Registry()
        for name, backend in backends.items():
            registry.register_backend(name, backend)
        values = {"backends": {"one": {"type": "threads", "slots": 1}}}
        made.append(Session(Config.from_dict(values), registry, state))
        return made[-1]

    yield make
    for session in made:
        session.close()
