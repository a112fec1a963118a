"""The spans of jobs: what is written, by whom, and what is below what."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from anyjob_opentelemetry import guard
from anyjob_opentelemetry import spans as written
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode, TraceFlags
from telemetry import PATIENCE, Spans, context_of, fail, is_child, seen

from anyjob import (
    BaseBackend,
    BaseJob,
    Call,
    Command,
    JobRejectedError,
    JobStatus,
    Refused,
    Session,
    TaskBackend,
)
from anyjob.orders import Answer, Observation, Order, Rejected, Ticket

Open = Callable[..., Session]
TRACER = trace.get_tracer("tests")


# --- what is written ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["inline", "threads", "local"])
def test_a_job_has_a_span_over_its_life_in_the_trace_of_its_submitter(
    opened: Open, spans: Spans, name: str
) -> None:
    session = opened()
    with TRACER.start_as_current_span("study") as study:
        job = session.run(Call(pow, (2, 10)), name, name="fit")
    outcome = job.outcome(PATIENCE)
    submit, whole = spans.of_job(name)
    queue, run = spans.wait(f"queue {name}"), spans.wait(f"run {name}")
    assert is_child(submit, study)
    assert is_child(whole, submit)
    assert is_child(queue, whole)
    assert is_child(run, whole)
    assert (submit.kind, whole.kind, run.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.INTERNAL)
    assert outcome.started is not None
    assert outcome.finished is not None
    assert queue.end_time == run.start_time == int(outcome.started * 1e9)
    assert whole.end_time == run.end_time == int(outcome.finished * 1e9)
    assert queue.start_time == whole.start_time
    assert abs((whole.start_time or 0) / 1e9 - job.metadata()["submitted"]) < PATIENCE
    assert submit.attributes is not None
    assert submit.attributes["anyjob.job.name"] == "fit"
    expected = {
        "anyjob.job.id": job.job_id(),
        "anyjob.job.native_id": job.native_id(),
        "anyjob.job.kind": "python",
        "anyjob.backend.name": name,
        "anyjob.backend.type": name,
        "anyjob.job.state": "DONE",
        "anyjob.job.attempt": 1,
    }
    assert {key: (whole.attributes or {})[key] for key in expected} == expected
    assert whole.status.status_code is StatusCode.UNSET


def test_a_job_that_fails_says_why(opened: Open, spans: Spans) -> None:
    opened().run(Call(fail), "inline")
    _, whole = spans.of_job("inline")
    assert whole.status.status_code is StatusCode.ERROR
    assert whole.status.description == "ValueError: no such orbit: 7"
    assert (whole.attributes or {})["error.type"] == "exception"
    (event,) = whole.events
    assert event.name == "exception"
    details = event.attributes or {}
    assert (details["exception.type"], details["exception.message"]) == ("ValueError", "no such orbit: 7")
    assert "in fail" in str(details["exception.stacktrace"])


def test_a_program_that_fails_says_its_exit_code(opened: Open, spans: Spans) -> None:
    opened().run(Command(["sh", "-c", "exit 3"]), "inline")
    _, whole = spans.of_job("inline")
    attributes = whole.attributes or {}
    assert (attributes["error.type"], attributes["process.exit.code"]) == ("exit-code", 3)
    assert attributes["anyjob.job.kind"] == "command"


def test_a_job_that_was_cancelled_in_the_queue_never_ran_and_did_not_fail(opened: Open, spans: Spans) -> None:
    release = threading.Event()
    backend = opened().get_backend("one")
    first = backend.run(Call(release.wait, (PATIENCE,)))
    second = backend.run(Call(pow, (2, 10)))
    assert second.cancel()
    whole = spans.wait("job one")
    assert (whole.attributes or {})["anyjob.job.state"] == "CANCELLED"
    assert whole.status.status_code is StatusCode.UNSET
    assert "run one" not in spans.names
    release.set()
    first.result(PATIENCE)


def test_a_job_that_was_cancelled_while_it_ran_has_run(opened: Open, spans: Spans, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    job = opened().run(Command(["sh", "-c", f"echo > {fifo}; exec sleep 1000"]), "local")
    assert fifo.read_text() == "\n"  # it runs
    assert job.cancel()
    job.outcome(PATIENCE)
    _, whole = spans.of_job("local")
    assert (whole.attributes or {})["anyjob.job.state"] == "CANCELLED"
    assert whole.status.status_code is StatusCode.UNSET
    assert is_child(spans.wait("run local"), whole)


class Picky(TaskBackend):
    """Takes no order."""

    accepts = frozenset({"python"})

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order in orders:
            yield order, Rejected("no such partition: gpu")

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        return {}

    def terminate(self, tickets: Sequence[Ticket]) -> dict[str, bool]:
        return {}


def test_a_job_that_was_rejected_says_so(opened: Open, spans: Spans) -> None:
    backend = opened(picky=Picky).get_backend("picky")
    with pytest.raises(JobRejectedError):
        backend.run(Call(pow, (2, 10)))
    submit, whole = spans.of_job("picky")
    assert is_child(whole, submit)
    assert (whole.attributes or {})["error.type"] == "rejected"
    assert whole.status.description == "no such partition: gpu"
    assert spans.names == ["submit picky", "job picky"]


def test_where_no_job_comes_to_be_the_submission_stands_alone(opened: Open, spans: Spans) -> None:
    with pytest.raises(JobRejectedError, match="slots"):
        opened().run(Call(pow, (2, 10)), "local", cpus=100_000)
    assert spans.names == ["submit local"]


def test_work_that_was_refused_has_no_span(opened: Open, spans: Spans) -> None:
    class Closed:
        def anyjob_before_submit(self) -> None:
            raise Refused("closed on Sundays")

    session = opened()
    session.registry.hooks.register(Closed())
    with pytest.raises(Refused):
        session.run(Call(pow, (2, 10)), "inline")
    assert spans.names == []


def test_a_job_without_a_trace_around_it_begins_one(opened: Open, spans: Spans) -> None:
    opened().run(Call(pow, (2, 10)), "inline")
    submit, whole = spans.of_job("inline")
    assert submit.parent is None
    assert is_child(whole, submit)


def test_what_is_not_sampled_where_it_is_submitted_is_not_written_at_the_end(
    opened: Open, spans: Spans
) -> None:
    off = TracerProvider(ALWAYS_OFF)
    session = opened()
    with off.get_tracer("tests").start_as_current_span("study"):
        job = session.run(Call(seen), "inline")
    _, trace_id, _, flags = job.notes()["opentelemetry.traceparent"].split("-")
    assert not int(flags, 16) & TraceFlags.SAMPLED
    assert spans.names == []
    assert job.result()[0] == int(trace_id, 16)


class PlainJob(BaseJob):
    """A job as Qiskit has them, which has ended."""

    def submit(self) -> None:
        return None

    def result(self) -> str:
        return "counts"

    def cancel(self) -> bool:
        return False

    def status(self) -> JobStatus:
        return JobStatus.DONE


class PlainBackend(BaseBackend):
    """A backend as Qiskit has them."""

    def run(self, circuit: str) -> PlainJob:
        return PlainJob(self, f"of {circuit}")


def test_plain_jobs_have_spans_too(opened: Open, spans: Spans) -> None:
    backend = opened(plain=PlainBackend).get_backend("plain")
    with TRACER.start_as_current_span("study") as study:
        job = backend.run("bell")
    job.wait_for_final_state(PATIENCE)
    submit, whole = spans.of_job("plain")
    assert is_child(submit, study)
    assert is_child(whole, submit)
    attributes = whole.attributes or {}
    assert (attributes["anyjob.job.id"], attributes["anyjob.job.kind"]) == ("of bell", "plain")


# --- what the job gets ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["inline", "threads", "processes", "local"])
def test_the_spans_of_a_call_come_below_its_submission(opened: Open, spans: Spans, name: str) -> None:
    found = opened().run(Call(seen), name).result(PATIENCE)
    submit = context_of(spans.wait(f"submit {name}"))
    assert found == (submit.trace_id, submit.span_id)


@pytest.mark.parametrize("name", ["threads", "local"])
def test_each_of_many_is_in_its_own_place(opened: Open, spans: Spans, name: str) -> None:
    jobs = opened().get_backend(name).run_many([Call(seen)] * 3)
    found = [job.result(PATIENCE) for job in jobs]
    noted = [job.notes()["opentelemetry.traceparent"].split("-") for job in jobs]
    assert found == [(int(trace_id, 16), int(span_id, 16)) for _, trace_id, span_id, _ in noted]
    assert len(set(found)) == 3


def traceparent_of(spans: Spans, name: str) -> str:
    submit = context_of(spans.wait(f"submit {name}"))
    return f"00-{submit.trace_id:032x}-{submit.span_id:016x}-{submit.trace_flags:02x}"


@pytest.mark.parametrize("name", ["threads", "local"])
def test_a_program_finds_trace_and_baggage_in_its_environment(opened: Open, spans: Spans, name: str) -> None:
    session = opened()
    token = context.attach(baggage.set_baggage("study", "a b"))
    try:
        job = session.run(Command(["sh", "-c", 'echo "$TRACEPARENT $BAGGAGE"']), name)
    finally:
        context.detach(token)
    assert job.result(PATIENCE).stdout.text().split() == [traceparent_of(spans, name), "study=a+b"]
    assert "study" not in str(job.notes())  # baggage may be private: it is in the environment alone


def submit_another() -> None:
    """A job that hands over work itself, and attaches nothing."""
    import anyjob

    with Session(anyjob.Config.from_dict({}), anyjob.Registry()) as session:
        session.run(Call(pow, (2, 10)), "inline").result()


def test_jobs_that_a_job_submits_are_in_its_trace(opened: Open, spans: Spans) -> None:
    opened().run(Call(submit_another), "threads").result(PATIENCE)
    outer, inner = spans.wait("submit threads"), spans.wait("submit inline")
    assert is_child(inner, outer)


# --- from one process to another ------------------------------------------------------------------

SUBMITTER = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from anyjob import Command, Config, Registry, Session

trace.set_tracer_provider(TracerProvider())
session = Session(Config.from_dict({}), Registry(), sys.argv[1])
with trace.get_tracer("submitter").start_as_current_span("study") as study:
    job = session.run(Command(["sh", "-c", "read line < " + sys.argv[2]]), "local")
print(job.job_id(), f"{study.get_span_context().trace_id:032x}", job.notes()["opentelemetry.traceparent"])
"""


def python(program: str, *arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_spans_of_a_job_that_ended_unwatched_are_written_by_who_looks_next(
    opened: Open, spans: Spans, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    job_id, trace_id, traceparent = python(SUBMITTER, str(state), str(fifo)).split()
    fifo.write_text("go on\n")
    with monkeypatch.context() as patch:
        patch.setenv("ANYJOB_DISABLE_PLUGINS", "anyjob-opentelemetry")
        opened().get_job(job_id).outcome(PATIENCE)
    assert spans.names == []
    (job,) = opened().jobs()
    assert spans.names == ["queue local", "run local", "job local"]
    whole = spans.wait("job local")
    assert f"{context_of(whole).trace_id:032x}" == trace_id
    assert whole.parent is not None
    assert traceparent.startswith(f"00-{trace_id}-{whole.parent.span_id:016x}-")
    assert (whole.attributes or {})["anyjob.job.id"] == job.job_id() == job_id
    opened().jobs()
    assert len(spans.names) == 3  # once


UNUSED = """
import sys
from anyjob import Call, Config, Registry, Session

session = Session(Config.from_dict({}), Registry(), sys.argv[1])
assert session.run(Call(pow, (2, 10)), "inline").result() == 1024
assert session.run(Call(pow, (2, 10)), "inline").notes() == {}
assert "anyjob_opentelemetry.hooks" in sys.modules
assert not session.registry.hooks.implements("anyjob_finished")
assert not [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]
"""
LATE = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

exporter = ConsoleSpanExporter(formatter=lambda span: span.name + ", ")
trace.set_tracer_provider(provider := TracerProvider())
provider.add_span_processor(SimpleSpanProcessor(exporter))
session.run(Call(pow, (2, 10)), "inline")
session.run(Call(pow, (2, 10)), "inline")
"""


def test_where_opentelemetry_is_not_in_use_nothing_is_imported_and_no_end_is_claimed(state: Path) -> None:
    python(UNUSED, str(state))


def test_opentelemetry_may_be_set_up_after_the_first_hook(state: Path) -> None:
    names = "submit inline, queue inline, run inline, job inline, "
    assert python(UNUSED + LATE, str(state)) == names * 2


# --- what goes wrong ------------------------------------------------------------------------------


class Broken(SpanProcessor, SpanExporter):
    """Raises whatever it is called with."""

    def on_start(self, *args: Any, **kwargs: Any) -> None:
        raise OSError("the collector is away")

    on_end = on_start

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise OSError("the collector is away")

    def shutdown(self) -> None:
        return None


class BrokenEnd(Broken):
    def on_start(self, *args: Any, **kwargs: Any) -> None:
        return None


@pytest.mark.parametrize("processor", [SimpleSpanProcessor(Broken()), Broken(), BrokenEnd()])
def test_exporters_that_raise_hurt_no_job(
    opened: Open,
    processor: SpanProcessor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider = TracerProvider()
    provider.add_span_processor(processor)
    monkeypatch.setattr(written, "tracer", lambda: provider.get_tracer("tests"))
    monkeypatch.setattr(guard, "_reported", set())
    monkeypatch.setenv("ANYJOB_STRICT_PLUGINS", "1")  # where what a plugin raises is raised
    session = opened()
    with caplog.at_level(logging.WARNING):
        jobs = [session.run(Call(pow, (2, 10)), name) for name in ("inline", "threads")]
        assert [job.result(PATIENCE) for job in jobs] == [1024, 1024]
    session.close()
    assert "the collector is away" in caplog.text
    ours = [record for record in caplog.records if record.name == "anyjob_opentelemetry"]
    assert len(ours) == len({record.getMessage() for record in ours})  # once each


def test_a_span_processor_that_raises_at_the_end_leaves_the_trace_whole(
    opened: Open, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    provider.add_span_processor(BrokenEnd())
    monkeypatch.setattr(written, "tracer", lambda: provider.get_tracer("tests"))
    opened().run(Call(pow, (2, 10)), "inline")
    assert spans.names == ["submit inline", "queue inline", "run inline", "job inline"]
