"""Jobs in the arguments of calls that live and end with this process, and futures of executors."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_local import Local, running

import anyjob
from anyjob import Call, Command, DependencyFailedError, Executor, JobStatus, Session
from anyjob.errors import JobCancelledError, JobNotFoundError, UnsupportedSpecError
from anyjob.references import ResultOf

POOLS = ["inline", "threads", "processes"]


@pytest.fixture(params=POOLS)
def backend(request: pytest.FixtureRequest, session: Session) -> Any:
    return session.get_backend(request.param)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session(state=tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        with running(tmp_path_factory.mktemp("local"), isolation="reuse") as made:
            yield made


def add(*values: Any) -> Any:
    return sum(values)


def same(*values: Any) -> bool:
    return all(value is values[0] for value in values)


def fail() -> None:
    raise ValueError("no")


def read(path: str) -> str:
    with open(path) as stream:
        return stream.readline()


def test_a_job_stands_for_its_result(backend: Any) -> None:
    first = backend.run(abs, -1, name="one")
    second = backend.run(Call(add, (first, 1)))
    last = backend.run(Call(dict, ([("a", [first, {"b": second}])],), {"c": first}))
    assert last.result(60) == {"a": [1, {"b": 2}], "c": 1}
    assert repr(second.spec().args) == "(<result of one>, 1)"
    assert "add(<result of one>, 1)" in repr(second)
    assert [job.result(60) for job in backend.map(add, backend.map(abs, [-1, -2]), [first, first])] == [2, 3]


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_the_same_job_is_one_object_in_a_call(backend: Any, size: int) -> None:
    first = backend.run("builtins:bytes", size)
    assert backend.run(Call(same, (first, first))).result(60)
    assert backend.run(len, first).result(60) == size


def test_none_is_a_result(backend: Any) -> None:
    first = backend.run(add.__class__.__repr__, add)
    nothing = backend.run("builtins:print", "")
    assert backend.run("builtins:repr", [nothing, nothing]).result(60) == "[None, None]"
    assert first.result(60).startswith("<function")


def test_what_is_needed_is_waited_for(session: Session, tmp_path: Path) -> None:
    import os

    gate = tmp_path / "gate"
    os.mkfifo(gate)
    for name in ("threads", "processes"):
        backend = session.get_backend(name)
        first = backend.run(read, str(gate))
        behind = backend.run(str.upper, first)
        assert behind.status() is JobStatus.QUEUED
        with gate.open("w") as stream:
            stream.write("go")
        assert behind.result(60) == "GO"


def test_a_failure_is_the_cause_of_those_who_need_the_result(backend: Any) -> None:
    first = backend.run(fail, name="fit")
    behind = backend.run(add, first)
    last = backend.run(add, behind)
    for job in (behind, last):
        with pytest.raises(
            DependencyFailedError, match=r"\(fit\) failed \(exception: ValueError: no\)"
        ) as caught:
            job.result(60)
        assert caught.value.prerequisite == first.job_id()
        assert isinstance(caught.value.__cause__, ValueError)
        assert job.outcome().reason == "dependency"
    assert f"by way of {behind.job_id()}" in str(last.exception())


def test_a_cancel_goes_to_those_who_need_the_result(session: Session) -> None:
    backend = session.get_backend("threads", slots=1)
    go_on = threading.Event()
    busy = backend.run(go_on.wait)
    first = backend.run(add, 1)
    behind = backend.run(add, first)
    waits = backend.run(add, busy, first)
    assert waits.cancel()
    assert first.cancel()
    with pytest.raises(DependencyFailedError, match="was cancelled"):
        behind.result(60)
    with pytest.raises(JobCancelledError):
        waits.result(60)
    go_on.set()
    assert busy.result(60)
    assert waits.cancelled(), "what it needs has come, and it was cancelled before"


def test_results_of_any_backend_and_kind_will_do(local: Local, backend: Any) -> None:
    command = backend.run(Command(["echo", "hello"]))
    elsewhere = local.backend.run(abs, -2)
    for job in (command, local.backend.run(Command(["echo", "hello"]))):
        for read in (lambda done: done.stdout.text(), lambda done: "".join(done.stdout)):
            assert backend.run(read, job).result(60) == "hello\n"
        assert backend.run(lambda done: done.stdout.tail(3), job).result(60) == "lo\n"
    assert backend.run(add, elsewhere, 1).result(60) == 3


def test_a_result_that_is_not_needed_any_more_is_not_held(session: Session) -> None:
    """A loop that gives each step the result of the last one would hold all of them."""

    class Value:
        pass

    made: list[weakref.ref[Value]] = []

    def step(before: Any) -> Value:
        value = Value()
        value.lock = threading.Lock()  # type: ignore[attr-defined]  # so that it is held itself, and no pickle
        made.append(weakref.ref(value))
        return value

    job: Any = None
    for _ in range(5):
        job = session.get_backend("threads").run(step, job)
        job.result(60)
    session.get_backend("threads").run(add).result(60)  # the thread holds nothing of the last one by now
    gc.collect()
    assert [ref() is not None for ref in made] == [False] * 4 + [True]


def test_what_is_not_known_any_more_is_refused(backend: Any) -> None:
    first = backend.run(abs, -1)
    last = backend.run(add, first, 1)
    assert last.result(60) == 2
    assert backend.run(last.spec()).result(60) == 2
    first_id = first.job_id()
    spec = last.spec()
    del first, last
    gc.collect()
    with pytest.raises(JobNotFoundError, match=first_id):
        backend.run(spec)
    with pytest.raises(JobNotFoundError):
        backend.run(abs, ResultOf("f" * 20))


def test_a_durable_backend_is_given_what_has_ended_here(local: Local) -> None:
    threads = local.session.get_backend("threads")
    go_on = threading.Event()
    first = threads.run(go_on.wait)
    with pytest.raises(UnsupportedSpecError, match=r"lives in this process alone; .*wait until it has ended"):
        local.backend.run(add, first, 1)
    go_on.set()
    first.wait_for_final_state()
    assert local.backend.run(add, first, 1).result(60) == 2
    assert local.backend.run(dict, {"code": local.backend.run(Command(["true"])).exception(60)}).result(60)
    failed = threads.run(fail)
    failed.wait_for_final_state()
    with pytest.raises(DependencyFailedError, match="ValueError: no") as caught:
        local.backend.run(add, failed)
    assert isinstance(caught.value.__cause__, ValueError)


# --- executors --------------------------------------------------------------------------------------


@pytest.fixture(params=[*POOLS, "local"])
def executor(request: pytest.FixtureRequest, local: Local) -> Iterator[Executor]:
    with Executor(local.session.get_backend(request.param)) as made:
        yield made


def test_a_future_stands_for_its_result(executor: Executor) -> None:
    future = executor.submit(add, 1)
    for _ in range(5):  # those of a durable backend have no jobs yet
        future = executor.submit(add, future, 1)
    typed = executor.submit(abs, anyjob.result_of(future))
    nested = executor.submit(dict, [("a", [future, {"b": typed}])])
    assert nested.result(60) == {"a": [6, {"b": 6}]}
    assert list(executor.map(add, [future, typed], [1, future])) == [7, 12]


def test_a_future_that_fails_is_the_cause(executor: Executor) -> None:
    future = executor.submit(add, executor.submit(fail), 1)
    assert isinstance(future.exception(60), DependencyFailedError)
    cause = future.exception()
    assert isinstance(cause and cause.__cause__, ValueError)


def test_a_future_whose_work_was_not_handed_over_is_the_cause(local: Local) -> None:
    with Executor(local.backend) as executor:
        future = executor.submit(add, sys._getframe())
        behind = executor.submit(add, future, 1)
        alone = executor.submit(add, 1, 1)
        assert isinstance(behind.exception(60), DependencyFailedError)
        cause = behind.exception()
        assert isinstance(cause and cause.__cause__, anyjob.SerializationError)
        assert alone.result(60) == 2


def test_a_future_of_another_executor_stands_for_its_result(local: Local) -> None:
    with Executor(local.backend) as one, Executor(local.backend, tags={"a": "b"}) as other:
        future = one.submit(add, 1)
        for executor in (other, one, other, one):
            future = executor.submit(add, future, 1)
        assert future.result(60) == 5


def test_result_of_takes_jobs() -> None:
    with pytest.raises(TypeError, match="takes a job, or a future"):
        anyjob.result_of(3)  # type: ignore[arg-type]


def load(lazy: anyjob.Lazy[Any]) -> Any:
    return lazy.load()


def test_a_lazy_result_is_read_when_it_is_wanted(executor: Executor, backend: Any) -> None:
    assert executor.submit(load, anyjob.lazy(executor.submit(add, 1, 2))).result(60) == 3
    first = backend.run(add, 1, 2)
    assert backend.run(Call(load, (anyjob.lazy(first),))).result(60) == 3
