"""What is written of a durable backend's jobs: all of them or none, shared once, and cleared away."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.durable_backends import ClusterBackend, ClusterOptions, new_session
from support.ledgers import files_below

from anyjob import Call, Command, JobStatus, SerializationError, Session, StateError
from anyjob.ledger.end_effects import EndEffects
from anyjob.ledger.store import Ledger
from anyjob.orders import Answer, Order, Unsure
from anyjob.outcome import Outcome
from anyjob.outputs.attempt_files import attempt_id
from anyjob.resources import Resources
from anyjob.runtime.recording import stored_work
from anyjob.runtime.recording.context import current_context
from anyjob.spool import job_spool

DONE = Outcome(status=JobStatus.DONE, finished=1.0)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setattr(ClusterBackend, "clusters", {})
    with new_session(tmp_path / "state") as session:
        yield session


@pytest.fixture
def backend(session: Session) -> Any:
    return session.get_backend("cluster")


def written(session: Session) -> list[str]:
    """What lies beside the ledger."""
    return [path.name for path in files_below(session.services.ledger.state) if "ledger" not in path.name]


def test_what_a_bulk_shares_is_written_once(session: Session, backend: Any) -> None:
    jobs = backend.map(pow, range(100), range(100), name="n", tags={"k": "v"})
    ledger = session.services.ledger
    rows = ledger.rows([job.job_id() for job in jobs])
    assert len({row.bulk for row in rows.values()}) == 1
    payload, spec = ledger.work(jobs[7].job_id())
    assert spec is None
    assert payload is not None
    assert b"pow" not in payload
    assert jobs[7].spec() == Call(pow, (7, 7))


def test_calls_of_several_functions_and_programs_are_read_back(
    session: Session, backend: Any, tmp_path: Path
) -> None:
    specs = [Call(pow, (1, 2)), Call(abs, (3,)), Call("math:sqrt", (4.0,)), Command(["echo", "\udcff"])]
    jobs = backend.run_many(specs)
    with new_session(tmp_path / "state") as later:
        assert [later.get_job(job.job_id()).spec() for job in jobs] == specs


def test_large_work_lies_in_the_spool(session: Session, backend: Any, tmp_path: Path) -> None:
    blob = bytes(stored_work.LARGE + 1)
    job = backend.run(Call(len, (blob,)))
    assert session.services.ledger.work(job.job_id()) == (None, None)
    assert written(session) == ["payload.pkl"]
    with new_session(tmp_path / "state") as later:
        again = later.get_job(job.job_id())
        assert again.spec() == Call(len, (blob,))
        job_spool.remove(later.services.ledger.state / "spool", job.job_id())
        with (
            new_session(tmp_path / "state") as last,
            pytest.raises(StateError, match=r"work in .* cannot be read"),
        ):
            last.get_job(job.job_id()).spec()


def test_what_happens_to_many_jobs_at_once_is_noted_at_once(
    session: Session, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[str] = []

    def counted(what: str) -> None:
        write = getattr(Ledger, what)

        def call(*given: Any) -> None:
            writes.append(what)
            write(*given)

        monkeypatch.setattr(Ledger, what, call)

    for what in ("launched", "moved", "settle"):
        counted(what)
    jobs = backend.map(abs, range(50))
    for native_id in backend.cluster.jobs:
        backend.cluster.jobs[native_id] = JobStatus.RUNNING
    assert all(job.running() for job in jobs)
    assert writes == ["launched", "moved"]
    rows = session.services.ledger.rows([job.job_id() for job in jobs])
    assert {row.status for row in rows.values()} == {JobStatus.RUNNING}
    assert all(row.started is not None for row in rows.values())


def test_the_ids_of_a_long_launch_are_noted_as_they_come(
    session: Session, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who submits may be killed in the middle of it."""
    launch, known = ClusterBackend.launch, []

    def watched(self: ClusterBackend, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order, answer in launch(self, orders):
            rows = session.services.ledger.rows([each.job_id for each in orders])
            known.append(sum(row.native_id is not None for row in rows.values()))
            yield order, answer

    monkeypatch.setattr("anyjob.runtime.submission.launch.NOTED", -1.0)
    monkeypatch.setattr(ClusterBackend, "launch", watched)
    backend.map(abs, range(3))
    assert known == [0, 1, 2]


def test_the_native_id_of_a_job_that_was_found_is_noted(
    session: Session, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine did not say whether it had taken the job: once that is found out, it is written down."""
    launch = ClusterBackend.launch

    def silent(self: ClusterBackend, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        for order, _ in launch(self, orders):
            yield order, Unsure()

    monkeypatch.setattr(ClusterBackend, "launch", silent)
    job = backend.run(Call(abs, (-1,)))
    assert job.status() is JobStatus.QUEUED
    row = session.services.ledger.rows([job.job_id()])[job.job_id()]
    assert (row.native_id, row.status) == (job.native_id(), JobStatus.QUEUED)
    assert row.native_id is not None


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("not this one")


def test_work_that_cannot_be_pickled_leaves_nothing(session: Session, backend: Any) -> None:
    large = Call(len, (bytes(stored_work.LARGE + 1),))
    with pytest.raises(SerializationError, match=r"^item 2: argument 0 of the call"):
        backend.run_many([Command(["true"]), large, Call(print, (Unpicklable(),))])
    assert session.jobs() == []
    assert ClusterBackend.clusters == {}
    assert written(session) == []
    assert session.services.ledger.select() == []


def test_a_ledger_that_fails_half_way_leaves_nothing(
    session: Session, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = session.services.ledger
    environment = ledger.state / "env-of-the-bulk"
    add = ledger.add

    def context(self: Any, route: tuple[str, ...], resources: Resources) -> Any:
        environment.touch()
        return current_context(route, resources, str(environment))

    def fails(*args: Any, **kwargs: Any) -> EndEffects:
        if kwargs["kind"] == "python":
            raise StateError("no space is left")
        return add(*args, **kwargs)

    monkeypatch.setattr(ClusterBackend, "context", context)
    monkeypatch.setattr(ledger, "add", fails)
    large = Call(len, (bytes(stored_work.LARGE + 1),))
    with pytest.raises(StateError, match="no space"):
        backend.run_many([Command(["true"]), large])
    assert ledger.select() == []
    assert written(session) == []
    assert ClusterBackend.clusters == {}


def test_a_spool_that_is_full_is_said(
    session: Session, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(job_spool, "write_payload", full)
    with pytest.raises(StateError, match=r"the disk is full \(No space left.*ANYJOB_STATE"):
        backend.run(Call(len, (bytes(stored_work.LARGE + 1),)))
    assert ClusterBackend.clusters == {}


def test_full_durability_is_an_option_of_the_backend(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Durable(ClusterOptions, frozen=True):
        durability: str = "normal"

    monkeypatch.setattr(ClusterBackend, "Options", Durable)
    ledger = session.services.ledger
    session.get_backend("cluster").run(Call(abs, (1,)))
    assert ledger.file.read("PRAGMA synchronous") == [(1,)]
    session.get_backend("cluster", durability="full").run(Call(abs, (1,)))
    assert ledger.file.read("PRAGMA synchronous") == [(2,)]


# --- prune ----------------------------------------------------------------------------------------


def test_prune_forgets_what_has_ended_with_all_it_wrote(
    session: Session, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anyjob.session.pruning.AT_ONCE", 2)
    ledger = session.services.ledger
    environments = ledger.state / "env"
    environments.mkdir()
    for name in ("kept", "gone", "stale", "young"):
        (environments / name).touch()
        os.utime(environments / name, None if name == "young" else (1, 1))

    def context(name: str) -> Any:
        return lambda self, route, resources: current_context(route, resources, str(environments / name))

    monkeypatch.setattr(ClusterBackend, "context", context("kept"))
    ended, waits = backend.map(abs, [1, 2], tags={"k": "v"})
    monkeypatch.setattr(ClusterBackend, "context", context("gone"))
    gone = backend.map(abs, range(5), tags={"k": "w"})
    ledger.settle({job.job_id(): DONE for job in (ended, *gone)})
    (recent,) = backend.map(abs, [3])
    ledger.settle({recent.job_id(): Outcome(status=JobStatus.ERROR)})
    for job in (ended, waits):
        job_spool.path_of(ledger.state / "spool", job.job_id()).mkdir(parents=True)

    assert set(session.prune("1h")) == {job.job_id() for job in (ended, *gone)}
    assert [row.job_id for row in ledger.select()] == [waits.job_id(), recent.job_id()]
    assert list(job_spool.job_ids(ledger.state / "spool")) == [waits.job_id()]
    assert sorted(path.name for path in environments.iterdir()) == ["kept", "young"]
    assert ledger.file.read("SELECT count(*) FROM bulks") == [(2,)]
    assert ledger.file.read("SELECT DISTINCT value FROM tags") == [("v",)]
    assert ledger.file.read("SELECT count(*) FROM work") == [(2,)]
    assert session.prune("1h") == []
    assert session.prune(0) == [recent.job_id()]


def test_prune_removes_what_a_kill_has_kept_out_of_the_ledger_and_nothing_that_has_begun(
    session: Session, backend: Any
) -> None:
    """A directory is made, for what is large, before the ledger has the job."""
    ledger = session.services.ledger
    (known,) = backend.map(abs, [1])
    spool = ledger.state / "spool"
    next_attempt = attempt_id(known.job_id(), 2)
    ledger.moved([(known.job_id(), JobStatus.QUEUED, 2, None)])
    began, fresh, killed = "a" * 20, "b" * 20, ["c" * 20, "d" * 20]
    for job_id in (known.job_id(), next_attempt, began, fresh, *killed):
        job_spool.write_payload(spool, job_id, b"large")
        path = job_spool.path_of(spool, job_id)
        (path / "inputs").mkdir()
        if job_id == began:
            (path / "stdout").touch()
        if job_id != fresh:
            os.utime(path, (1, 1))
    assert session.prune("1h") == []
    assert set(job_spool.job_ids(spool)) == {known.job_id(), next_attempt, began, fresh}


def test_pruning_where_nothing_was_ever_written_writes_nothing(session: Session) -> None:
    assert session.prune("1d") == []
    assert not session.services.ledger.exists
