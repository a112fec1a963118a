"""Jobs that start after others on backends whose jobs live with this process: the session holds them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.durable_backends import Device

from anyjob import (
    Call,
    Command,
    Config,
    DependencyFailedError,
    JobCancelledError,
    JobStatus,
    Session,
)
from anyjob.errors import JobNotFoundError, SpecError, UnsupportedSpecError

LIMIT = 30.0


@pytest.fixture
def session(tmp_path: Any) -> Iterator[Session]:
    with Session(Config.from_dict({}), state=tmp_path / "state") as made:
        yield made


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    made = threading.Event()
    yield made
    made.set()


def fails() -> bool:
    raise ValueError("too cold")


@pytest.mark.parametrize("name", ["threads", "processes"])
def test_a_job_starts_after_another_of_this_process(
    session: Session, gate: threading.Event, name: str
) -> None:
    order: list[str] = []

    def note_first() -> None:
        gate.wait(LIMIT)
        order.append("first")

    first = session.run(note_first, backend="threads", name="fit")
    behind = session.run(len, "abc", backend=name, after=first)
    last = session.run(lambda: order.append("last"), backend="threads", after=[behind], after_end=first)
    assert behind.status() is last.status() is JobStatus.QUEUED
    assert behind.metadata()["message"] == f"waits for {first.job_id()[:7]} (fit)"
    gate.set()
    last.result(LIMIT)
    assert behind.result(LIMIT) == 3
    assert order == ["first", "last"]


def test_a_failure_ends_what_needs_it_and_is_the_cause(session: Session, gate: threading.Event) -> None:
    backend = session.get_backend("threads")
    first = backend.run(lambda: gate.wait(LIMIT) and fails(), name="fit")
    behind = backend.run(len, "abc", after=first)
    last = backend.run(len, "abc", after=behind)
    mend = backend.run(len, "abc", after_failure=first, after_end=last)
    gate.set()
    with pytest.raises(
        DependencyFailedError, match=f"job {first.job_id()} .fit. failed .exception"
    ) as caught:
        last.result(LIMIT)
    assert f"by way of {behind.job_id()}" in str(caught.value)
    assert caught.value.prerequisite == first.job_id()
    assert isinstance(caught.value.__cause__, ValueError)
    assert mend.result(LIMIT) == 3
    late = backend.run(len, "abc", after=first)
    assert isinstance(late.exception(LIMIT), DependencyFailedError), "what has ended before counts, too"


def test_what_is_held_is_cancelled_and_so_is_what_is_behind_it(
    session: Session, gate: threading.Event
) -> None:
    backend = session.get_backend("threads")
    first = backend.run(gate.wait, LIMIT)
    behind = backend.run(len, "abc", after=first)
    last = backend.run(len, "abc", after=behind)
    assert behind.cancel()
    assert not behind.cancel()
    assert behind.status() is JobStatus.CANCELLED
    assert isinstance(last.exception(LIMIT), DependencyFailedError)
    assert isinstance(behind.exception(LIMIT), JobCancelledError)
    gate.set()
    assert first.result(LIMIT) is True


def test_a_cancel_that_does_not_go_down_the_graph(session: Session, gate: threading.Event) -> None:
    backend = session.get_backend("threads", slots=3)
    first, other = backend.run(gate.wait), backend.run(gate.wait)
    waits, both = backend.run(len, "abc", after=first), backend.run(len, "ab", after=[first, other])
    session.cancel([first], downstream=False)
    assert waits.result(LIMIT) == 3
    assert not both.in_final_state()
    gate.set()
    assert both.result(LIMIT) == 2


def test_inline_waits_for_what_it_starts_after(session: Session) -> None:
    gate = threading.Event()
    first = session.run(gate.wait, LIMIT, backend="threads")
    threading.Timer(0.05, gate.set).start()
    job = session.run(threading.get_ident, backend="inline", after=first)
    assert job.result(0) == threading.get_ident(), "it has run here"
    failed = session.run(fails, backend="inline")
    never = session.run(len, "abc", backend="inline", after=failed)
    assert isinstance(never.exception(0), DependencyFailedError)


def test_names_and_ids_mean_jobs_and_each_item_may_have_its_own(
    session: Session, gate: threading.Event
) -> None:
    backend = session.get_backend("threads")
    fits = backend.run_many([Call(gate.wait, (LIMIT,)), Call(fails)], name="fit")
    by_name = backend.run(len, "abc", after_end="fit")
    by_id = backend.run(len, "abc", after_end=fits[1].job_id()[:9])
    own = backend.run_many([Call(len, ("a",)), Call(len, ("ab",))], after=lambda index: fits[index])
    assert by_id.result(LIMIT) == 3
    assert by_name.status() is JobStatus.QUEUED
    gate.set()
    assert by_name.result(LIMIT) == 3
    assert [type(job.exception(LIMIT)) for job in own] == [type(None), DependencyFailedError]
    with pytest.raises(JobNotFoundError, match="no job 'fitt'"):
        backend.run(len, "abc", after="fitt")
    with pytest.raises(SpecError, match="after takes jobs, ids or names, not 3"):
        backend.run(len, "abc", after=[3])


def test_what_outlives_the_process_cannot_start_after_what_does_not(
    session: Session, gate: threading.Event
) -> None:
    first = session.run(gate.wait, LIMIT, backend="threads")
    with pytest.raises(UnsupportedSpecError, match="ends with this process"):
        session.run(Command(["true"]), backend="local", after=first)


def test_a_job_of_this_process_may_start_after_one_that_outlives_it(session: Session) -> None:
    first = session.run(Command(["sh", "-c", "exit 3"]), backend="local", name="fit")
    mend = session.run(len, "abc", backend="threads", after_failure="fit")
    assert mend.result(LIMIT) == 3
    never = session.run(len, "abc", backend="threads", after=first)
    assert isinstance(never.exception(LIMIT), DependencyFailedError)


def test_a_job_may_start_after_a_plain_one(session: Session) -> None:
    session.registry.register_backend("device", Device)
    device: Any = session.get_backend("device")
    first = device.run()
    behind = session.run(len, "abc", backend="threads", after=first)
    assert behind.status() is JobStatus.QUEUED
    device.jobs[first.job_id()] = JobStatus.DONE
    assert behind.result(LIMIT) == 3


def test_what_is_held_ends_with_its_backend(session: Session, gate: threading.Event) -> None:
    other = session.run(gate.wait, LIMIT, backend="threads")
    behind = session.run(len, "abc", backend="processes", after=other)
    session.get_backend("processes").close()
    assert behind.status() is JobStatus.CANCELLED
