"""What is alive is listed while other threads add to it, and lists keep nothing alive."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.durable_backends import ClusterBackend
from support.scripted_backends import FindingBackend

from anyjob import Call, Config, Session
from anyjob.backend import BackendConfiguration
from anyjob.builtin.inline import InlineBackend
from anyjob.ledger.file import process_connection
from anyjob.ledger.file.database import LedgerFile
from anyjob.registry.lookup import Registry
from anyjob.runtime.ids import new_id
from anyjob.session.backends.plain_backend import PlainRun
from anyjob.tracking.records import JobTable
from anyjob.tracking.tracker import Tracker


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    registry = Registry()
    registry.register_backend("cluster", ClusterBackend)
    registry.register_backend("plain", FindingBackend)
    with Session(Config.from_dict({}), registry, tmp_path / "state") as made:
        yield made


def meanwhile(add: Callable[[], object], ask: Callable[[], object]) -> None:
    """Ask while something is added, and what was added before let go of, after each line that runs.

    This is what other threads can do, wherever Python may switch to them.
    """
    last: list[object] = []

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        last[:] = [add()]
        return trace

    sys.settrace(trace)
    try:
        ask()
    finally:
        sys.settrace(None)


def test_a_job_is_sought_while_backends_are_made() -> None:
    kept = [InlineBackend(BackendConfiguration("kept")) for _ in range(20)]
    job = kept[-1].run(Call(abs, (1,)))
    meanwhile(lambda: InlineBackend(BackendConfiguration("new")), lambda: Tracker.find(job.job_id()))
    assert Tracker.find(job.job_id()) == job
    assert Tracker.find("0" * 20) is None


def test_plain_jobs_are_listed_while_others_are_run(session: Session) -> None:
    backend = session.get_backend("plain")
    mine = [backend.run() for _ in range(20)]
    run = PlainRun.of(backend)
    assert run is not None

    def add() -> Any:
        job = run._jobs[new_id()] = FindingBackend().run()
        return job

    meanwhile(add, run.jobs)
    assert {id(job) for job in mine} <= {id(job) for job in session.jobs()}


def test_ledgers_are_closed_for_a_fork_while_others_are_made(tmp_path: Path) -> None:
    def fork() -> None:
        process_connection._before_fork()
        process_connection._after_fork()

    kept = [LedgerFile(tmp_path / "state") for _ in range(20)]
    meanwhile(lambda: LedgerFile(tmp_path / "state"), fork)
    assert kept


def test_the_record_of_a_job_is_made_without_the_lock_of_its_table() -> None:
    """It may import the plugin of the job's kind, which may ask for jobs."""
    table = JobTable()

    def make() -> None:
        assert not table.lock.locked()
        raise LookupError

    with pytest.raises(LookupError):
        table.get_or_add("0" * 20, make)  # type: ignore[arg-type]


def test_a_session_lets_go_of_backends_that_were_made_for_somebody_alone(session: Session) -> None:
    named = session.get_backend("cluster")
    for number in range(50):
        session.get_backend("cluster", address=f"host-{number}")
    mine = session.get_backend("cluster", address="mine")
    gc.collect()
    assert [backend for backend in session.made() if isinstance(backend, ClusterBackend)] == [named, mine]
    session.close()
    assert mine.is_closed


def test_one_that_was_closed_is_let_go_of(session: Session) -> None:
    backend = session.get_backend("threads", slots=1)
    assert backend.run(Call(abs, (1,))).result() == 1
    backend.close()
    gone = weakref.ref(backend)
    del backend
    gc.collect()
    assert gone() is None


def test_a_handle_keeps_the_backend_of_its_job(session: Session) -> None:
    job = session.get_backend("cluster", address="there").run(Call(abs, (1,)))
    gc.collect()
    assert job.job_id() in {known.job_id() for known in session.jobs()}
    assert job.backend() in session.made()
