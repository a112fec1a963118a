"""The backend that the conformance kit is tried on works, and its faults are faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from right_backend import RightBackend, RightEngine

from anyjob import BackendUnavailableError, Call, Command, Config, JobRejectedError, JobStatus, Session
from anyjob.registry.lookup import Registry


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RightEngine]:
    directory = tmp_path / "engine"
    directory.mkdir()
    engine = RightEngine(directory)
    yield engine
    engine.stop()


@pytest.fixture
def backend(engine: RightEngine, tmp_path: Path) -> Iterator[RightBackend]:
    registry = Registry()
    registry.register_backend("right", RightBackend)
    config = Config.from_dict({"backends": {"r": {"type": "right", "directory": str(engine.directory)}}})
    with Session(config=config, registry=registry, state=tmp_path / "state") as session:
        made: RightBackend = session.get_backend("r")
        yield made


def test_it_runs_programs_and_calls(backend: RightBackend) -> None:
    program, call = backend.run(Command(["echo", "hello"])), backend.run(Call("operator:add", (1, 2)))
    assert program.result(20).stdout.text() == "hello\n"
    assert call.result(20) == 3


def test_what_runs_and_what_waits_for_a_slot_is_cancelled(backend: RightBackend) -> None:
    jobs = backend.run_many([Command(["sleep", "60"])] * 6)
    assert backend.cancel_many(jobs) == [True] * 6
    assert [job.outcome(20).status for job in jobs] == [JobStatus.CANCELLED] * 6
    assert not jobs[0].cancel()


def test_its_faults(backend: RightBackend, engine: RightEngine) -> None:
    engine.reject_next()
    with pytest.raises(JobRejectedError, match="the queue is closed"):
        backend.run(Command(["true"]))
    job = backend.run(Command(["sleep", "60"]))
    with engine.down(), pytest.raises(BackendUnavailableError):
        backend.run(Command(["true"]))
    native_id = job.native_id()
    assert native_id is not None
    engine.forget(native_id)
    assert job.outcome(20).reason == "lost"
