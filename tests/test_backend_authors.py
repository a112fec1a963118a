"""What a task backend gives its author: open jobs, their directories, forgotten handles, the ledger."""

from __future__ import annotations

import functools
import gc
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.scripted_backends import ScriptedEngine

from anyjob import (
    BaseProvider,
    Call,
    Capabilities,
    Config,
    JobStatus,
    Observation,
    Outcome,
    ProviderConfiguration,
    Registry,
    Session,
    StateError,
    Ticket,
    Unsure,
)
from anyjob.sdk import LocalValue, open_private, read_range, write_private


class Remote(ScriptedEngine):
    """A durable engine that sees none of our files."""

    capabilities: Capabilities = Capabilities(durable=True, find=True, logs=True)
    values: ClassVar[dict[str, Any]] = {}

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        for ticket in tickets:
            write_private(self.job_directory(ticket.job_id) / "stdout", b"fetched\n")
        return {t.job_id: Outcome(status=JobStatus.DONE, value=self.values[t.native_id]) for t in tickets}

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        return read_range(self.job_directory(ticket.job_id) / stream, offset)


def session_at(state: Path) -> Session:
    registry = Registry()
    registry.register_backend("acme.remote", Remote)
    return Session(Config.from_dict({}), registry, state)


def test_open_jobs_are_those_that_have_not_ended() -> None:
    engine = ScriptedEngine.make(grace=60)
    engine.answers = ["a", Unsure(), "c"]
    jobs = engine.map(abs, [1, 2, 3])
    assert engine.open_ids() == [job.job_id() for job in jobs]
    assert [ticket.native_id for ticket in engine.open_tickets()] == ["a", "c"]
    engine.seen["a"] = Observation(JobStatus.DONE)
    jobs[0].outcome(timeout=20)
    assert engine.open_ids() == [job.job_id() for job in jobs[1:]]
    assert [ticket.native_id for ticket in engine.open_tickets()] == ["c"]


def test_what_is_kept_of_a_job_is_let_go_of_with_the_last_handle() -> None:
    engine = ScriptedEngine.make()
    job, again = engine.run(Call(abs, (1,))), None
    again = engine.retrieve_job(job.job_id())
    engine.seen["n0"] = Observation(JobStatus.DONE)
    job.outcome(timeout=20)
    told: list[str] = []
    engine.when_forgotten(job.job_id(), lambda: told.append("now"))
    del job
    gc.collect()
    assert told == []
    del again
    gc.collect()
    assert told == ["now"]
    engine.when_forgotten("never seen", lambda: told.append("at once"))
    assert told == ["now", "at once"]


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_value_that_is_too_large_for_the_ledger_goes_to_the_directory(tmp_path: Path, size: int) -> None:
    """Also of an engine that sees none of our files, whose backend fetches what it returned."""
    Remote.values = {"n0": pickle.dumps(b"x" * size)}
    with session_at(tmp_path) as session:
        backend = session.get_backend("acme.remote")
        job = backend.run(Call(abs, (1,)))
        backend.seen["n0"] = Observation(JobStatus.DONE)
        assert job.result(timeout=20) == b"x" * size
        assert list(job.logs()) == ["fetched\n"]
        directory = backend.job_directory(job.job_id())
        assert (directory / "outcome.pkl").exists() is (size > 64 * 1024)
    with session_at(tmp_path) as later:
        assert later.get_job(job.job_id()).result() == b"x" * size


def test_a_value_that_cannot_be_kept_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Remote.values = {"n0": pickle.dumps(b"x" * 100_000)}
    with session_at(tmp_path) as session:
        backend = session.get_backend("acme.remote")
        job = backend.run(Call(abs, (1,)))
        monkeypatch.setattr(backend, "collect", functools.partial(ScriptedEngine.collect, backend))
        backend.outcomes["n0"] = Outcome(status=JobStatus.DONE, value=Remote.values["n0"])
        directory = backend.job_directory(job.job_id())
        directory.parent.mkdir(parents=True)
        directory.touch()  # where a directory is to be
        backend.seen["n0"] = Observation(JobStatus.DONE)
        with pytest.raises(StateError, match=f"cannot write {directory}"):
            job.result(timeout=20)
        directory.unlink()
        assert job.result(timeout=20) == b"x" * 100_000


def test_what_another_process_has_noted_is_read_in_the_ledger(tmp_path: Path) -> None:
    Remote.values = {"n0": pickle.dumps(1)}
    with session_at(tmp_path) as session, session_at(tmp_path) as other:
        backend, elsewhere = session.get_backend("acme.remote"), other.get_backend("acme.remote")
        job = backend.run(Call(abs, (1,)))
        backend.seen["n1"] = Observation(JobStatus.RUNNING)
        open_job = backend.run(Call(abs, (2,)))
        assert elsewhere.recorded_outcomes([job.job_id()]) == {}
        backend.seen["n0"] = Observation(JobStatus.DONE)
        job.result(timeout=20)
        found = elsewhere.recorded_outcomes([job.job_id(), open_job.job_id(), "0" * 20])
        assert {job_id: outcome.status for job_id, outcome in found.items()} == {job.job_id(): JobStatus.DONE}


def test_a_directory_is_that_of_a_job_id(tmp_path: Path) -> None:
    with session_at(tmp_path) as session:
        backend = session.get_backend("acme.remote")
        assert backend.job_directory("ab" * 10) == tmp_path / "spool" / "ab" / ("ab" * 10)
        with pytest.raises(StateError, match="is no job id"):
            backend.job_directory("../../etc")


def test_a_value_of_this_process_may_be_fetched_when_it_is_wanted() -> None:
    class Fetched(LocalValue):
        __slots__ = ()

        def __init__(self) -> None:
            pass

        @property
        def value(self) -> Any:
            asked.append("asked")
            return len(asked)

    asked: list[str] = []
    engine = ScriptedEngine.make()
    job = engine.run(Call(abs, (1,)))
    engine.outcomes["n0"] = Outcome(status=JobStatus.DONE, value=Fetched())
    engine.seen["n0"] = Observation(JobStatus.DONE)
    job.outcome(timeout=20)
    assert asked == []
    assert [job.result(), job.result()] == [1, 2]


def test_a_private_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_private(path, b"first")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with open_private(path) as stream:
        assert stream.read() == b"first"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    path.unlink()
    path.symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic"):
        open_private(path)
    write_private(path, b"second")
    assert (path.read_bytes(), elsewhere.read_bytes()) == (b"second", b"precious")
    monkeypatch.setattr("os.rename", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_private(path, b"third")
    assert path.read_bytes() == b"second"


def test_a_provider_tells_its_configuration() -> None:
    class Account(BaseProvider):
        def backends(self, name: Any = None, filters: Any = None, **kwargs: Any) -> list[Any]:
            return []

    assert Account().configuration() is None
    assert Account(ProviderConfiguration("acme", region="x")).configuration().region == "x"
