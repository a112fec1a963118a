"""`anyjob.Executor`, with the executors of the standard library as the oracle."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.scripted_backends import FindingBackend, UniformEngine, make
from support.waiting import wait_until

from anyjob import (
    BackendAuthError,
    BackendError,
    BackendUnavailableError,
    BaseBackend,
    Executor,
    JobError,
    JobFailedError,
    JobStatus,
    Refused,
    RemoteError,
    SerializationError,
    SpecError,
    UnsupportedSpecError,
)
from anyjob.builtin.inline import InlineBackend
from anyjob.builtin.processes import ProcessesBackend
from anyjob.builtin.threads import ThreadsBackend
from anyjob.runtime.services import Services

LONG = 30  # seconds: only ever waited for where something is broken

# What the jobs do: at module level, so that the standard library can pickle them too.


def fail(text: str) -> None:
    raise KeyError(text)


def hold(directory: Path, name: str = "held") -> str:
    """Say that it runs, and go on until there is a file ``go``."""
    (directory / name).touch()
    while not (directory / "go").exists():
        time.sleep(0.005)
    return name


def fail_on_two(number: int) -> int:
    if number == 2:
        raise ValueError("two")
    return number


def count_and_hold(directory: Path, number: int) -> int:
    if number == 1:
        raise ValueError("one")
    if number > 1:
        hold(directory, f"held-{number}")
    return number


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def both(a: int, b: int, *, c: int = 0) -> tuple[int, int, int]:
    return a, b, c


MAKERS: dict[str, Callable[[], Any]] = {
    "ThreadPoolExecutor": lambda: ThreadPoolExecutor(1),
    # Forking is not for a process with threads.
    "ProcessPoolExecutor": lambda: ProcessPoolExecutor(1, multiprocessing.get_context("spawn")),
    "inline": lambda: Executor(make(InlineBackend)),
    "threads": lambda: Executor(make(ThreadsBackend, slots=1)),
    "processes": lambda: Executor(make(ProcessesBackend, slots=1)),
}
CONCURRENT = [name for name in MAKERS if name != "inline"]
GROUP_PREFIX = ["inline", "threads", "processes"]


def close(executor: Any) -> None:
    executor.shutdown()
    if isinstance(executor, Executor):
        executor._backend.close()


@pytest.fixture
def executor(request: pytest.FixtureRequest) -> Iterator[Any]:
    executor = MAKERS[request.param]()
    yield executor
    close(executor)


everyone = pytest.mark.parametrize("executor", MAKERS, indirect=True)
concurrent_ones = pytest.mark.parametrize("executor", CONCURRENT, indirect=True)
ours = pytest.mark.parametrize("executor", GROUP_PREFIX, indirect=True)


@everyone
def test_submit(executor: Any) -> None:
    future = executor.submit(both, 1, b=2, c=3)
    assert isinstance(future, Future)
    assert future.result(LONG) == (1, 2, 3)
    assert future.exception(LONG) is None
    assert (future.done(), future.running(), future.cancelled()) == (True, False, False)
    assert future.cancel() is False


@everyone
def test_names_of_ours_are_free_for_keyword_arguments(executor: Any) -> None:
    assert executor.submit(dict, fn=1, self=2, spec=3, name=4).result(LONG) == {
        "fn": 1,
        "self": 2,
        "spec": 3,
        "name": 4,
    }


@everyone
def test_exceptions_come_back_with_what_happened_there(executor: Any) -> None:
    """ibmq-provider#390: poor failure messages."""
    future = executor.submit(fail, "missing")
    error = future.exception(LONG)
    assert (type(error), error.args) == (KeyError, ("missing",))
    with pytest.raises(KeyError, match="missing"):
        future.result(LONG)
    if error.__cause__ is None:  # where the traceback itself is there
        assert "fail" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    else:
        assert "in fail" in str(error.__cause__)


@everyone
def test_callbacks(executor: Any) -> None:
    told: list[tuple[str, Any]] = []
    ended = threading.Event()
    for name, work in (("good", (both, 1, 2)), ("bad", (fail, "x"))):
        future = executor.submit(*work)
        future.add_done_callback(lambda future, name=name: told.append((name, future.done())))
        concurrent.futures.wait([future], LONG)
        future.add_done_callback(lambda future: ended.set())
        assert ended.wait(LONG)
    assert told == [("good", True), ("bad", True)]


@everyone
def test_wait_and_as_completed_of_the_standard_library(executor: Any) -> None:
    futures = [executor.submit(abs, -n) for n in range(5)]
    assert {future.result() for future in concurrent.futures.as_completed(futures, LONG)} == set(range(5))
    done, not_done = concurrent.futures.wait(futures, LONG)
    assert (done, not_done) == (set(futures), set())


@concurrent_ones
def test_timeouts(executor: Any, tmp_path: Path) -> None:
    future = executor.submit(hold, tmp_path)
    with pytest.raises(TimeoutError):
        future.result(timeout=0.01)
    with pytest.raises(TimeoutError):
        future.exception(timeout=0)
    assert concurrent.futures.wait([future], 0.01).not_done == {future}
    with pytest.raises(TimeoutError):
        list(concurrent.futures.as_completed([future], 0.01))
    (tmp_path / "go").touch()
    assert future.result(LONG) == "held"


@concurrent_ones
def test_cancel_before_it_runs_and_while_it_runs(executor: Any, tmp_path: Path) -> None:
    held, *_, last = [executor.submit(hold, tmp_path, name) for name in "abcdef"]
    told: list[Any] = []
    last.add_done_callback(told.append)
    wait_until((tmp_path / "a").exists)
    assert (held.running(), held.done(), held.cancel(), held.cancelled()) == (True, False, False, False)
    assert (last.running(), last.done()) == (False, False)
    assert last.cancel() is True
    assert last.cancel() is True
    assert (last.cancelled(), last.done(), last.running()) == (True, True, False)
    assert told == [last]
    with pytest.raises(CancelledError):
        last.result(LONG)
    with pytest.raises(CancelledError):
        last.exception(LONG)
    (tmp_path / "go").touch()
    done, not_done = concurrent.futures.wait([held, last], LONG)
    assert (done, not_done) == ({held, last}, set())
    assert held.result() == "a"
    assert not (tmp_path / "f").exists()


@everyone
def test_map(executor: Any) -> None:
    assert list(executor.map(both, range(5), range(5, 9))) == [(n, n + 5, 0) for n in range(4)]
    assert list(executor.map(abs, [])) == []


@everyone
@pytest.mark.parametrize("chunksize", [1, 2, 3, 100])
def test_map_in_chunks(executor: Any, chunksize: int) -> None:
    assert list(executor.map(both, range(7), range(7), chunksize=chunksize)) == [(n, n, 0) for n in range(7)]


@everyone
def test_map_raises_where_the_call_raised(executor: Any) -> None:
    results = executor.map(fail_on_two, range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


@concurrent_ones
def test_map_with_a_timeout(executor: Any, tmp_path: Path) -> None:
    results = executor.map(hold, [tmp_path], timeout=0.05)
    with pytest.raises(TimeoutError):
        next(results)
    (tmp_path / "go").touch()


@concurrent_ones
def test_map_cancels_what_has_not_begun_when_a_call_raises(executor: Any, tmp_path: Path) -> None:
    results = executor.map(count_and_hold, [tmp_path] * 9, range(9))
    assert next(results) == 0
    with pytest.raises(ValueError, match="one"):
        next(results)
    (tmp_path / "go").touch()
    executor.shutdown()
    assert not (tmp_path / "held-8").exists()


@concurrent_ones
@pytest.mark.parametrize("chunksize", [1, 2])
def test_map_that_is_closed_cancels_what_has_not_begun(executor: Any, tmp_path: Path, chunksize: int) -> None:
    results = executor.map(_first_is_quick, [tmp_path] * 20, range(20), chunksize=chunksize)
    assert next(results) == 0
    results.close()
    del results
    (tmp_path / "go").touch()
    executor.shutdown()
    assert not (tmp_path / "held-19").exists()


def _first_is_quick(directory: Path, number: int) -> int:
    if number > 1:
        hold(directory, f"held-{number}")
    return number


@everyone
def test_nothing_is_taken_after_shutdown(executor: Any) -> None:
    future = executor.submit(abs, -1)
    executor.shutdown()
    assert future.done()
    executor.shutdown(wait=False)  # twice is no harm
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(abs, -1)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.map(abs, [1])


@concurrent_ones
def test_shutdown_with_cancel_futures(executor: Any, tmp_path: Path) -> None:
    futures = [executor.submit(hold, tmp_path, name) for name in "abcdef"]
    wait_until((tmp_path / "a").exists)
    executor.shutdown(wait=False, cancel_futures=True)
    (tmp_path / "go").touch()
    assert futures[0].result(LONG) == "a"
    assert futures[-1].cancelled()
    if isinstance(executor, Executor):  # in the standard library this wait has no end
        done, _ = concurrent.futures.wait(futures, LONG)
        assert done == set(futures)
    assert not (tmp_path / "f").exists()


@concurrent_ones
def test_the_context_waits_for_all(executor: Any, tmp_path: Path) -> None:
    with executor:
        futures = [executor.submit(hold, tmp_path, name) for name in "abc"]
        threading.Timer(0.05, (tmp_path / "go").touch).start()
    assert [future.done() for future in futures] == [True] * 3


@everyone
async def test_asyncio_runs_on_it(executor: Any) -> None:
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(executor, both, 1, 2) == (1, 2, 0)
    with pytest.raises(KeyError):
        await loop.run_in_executor(executor, fail, "x")
    futures = [asyncio.wrap_future(executor.submit(abs, -n)) for n in range(3)]
    assert await asyncio.gather(*futures) == [0, 1, 2]


@concurrent_ones
async def test_asyncio_cancels_on_it(executor: Any, tmp_path: Path) -> None:
    futures = [executor.submit(hold, tmp_path, name) for name in "abcdef"]
    last = asyncio.wrap_future(futures[-1])
    await asyncio.sleep(0)
    last.cancel()
    await asyncio.wait([last], timeout=LONG)
    assert last.cancelled()
    assert futures[-1].cancelled()
    (tmp_path / "go").touch()


@pytest.mark.parametrize("executor", ["ProcessPoolExecutor", "processes"], indirect=True)
def test_what_cannot_be_pickled_fails_alone(executor: Any) -> None:
    """executorlib#1057: an argument that cannot be pickled hung everything."""
    error = executor.submit(abs, threading.Lock()).exception(LONG)
    assert error is not None
    if isinstance(executor, Executor):
        assert isinstance(error, SerializationError)
        assert "lock" in str(error)
    assert executor.submit(abs, -1).result(LONG) == 1


@ours
def test_dask_runs_on_it(executor: Any) -> None:
    """A library that knows nothing of anyjob, and takes an executor."""
    threaded = pytest.importorskip("dask.threaded", reason="dask is not installed: pip install dask")
    graph = {"a": 1, "b": 2, "c": (max, "a", "b"), "d": (pow, "c", "b"), "e": (sum, ["a", "b", "c", "d"])}
    assert threaded.get(graph, ["d", "e"], pool=executor) == (4, 9)
    delayed = pytest.importorskip("dask").delayed
    total = delayed(sum)([delayed(pow)(n, 2) for n in range(20)])
    assert total.compute(scheduler="threads", pool=executor) == sum(n * n for n in range(20))


# --- what only ours has ---------------------------------------------------------------------------


@ours
def test_a_stop_iteration_is_told_as_a_coroutine_tells_it(executor: Any) -> None:
    error = executor.submit(next, iter([])).exception(LONG)
    assert type(error) is RuntimeError
    assert isinstance(error.__cause__, StopIteration)


@ours
def test_a_future_has_its_job(executor: Any) -> None:
    named = Executor(executor._backend, name="it", tags={"a": "b"})
    future = named.submit(pow, 2, 3)
    assert future.job is not None
    assert future.result(LONG) == future.job.result() == 8
    assert (future.job.metadata()["name"], future.job.metadata()["tags"]) == ("it", {"a": "b"})


@ours
def test_a_call_that_exits_does_not_end_the_program(executor: Any) -> None:
    error = executor.submit(exit, 3).exception(LONG)
    assert isinstance(error, RemoteError)
    assert "SystemExit" in str(error)


@pytest.mark.parametrize("executor", ["processes"], indirect=True)
def test_the_job_of_a_future_can_be_cancelled_while_it_runs(executor: Any, tmp_path: Path) -> None:
    future = executor.submit(hold, tmp_path)
    wait_until((tmp_path / "held").exists)
    assert future.job.cancel() is True
    with pytest.raises(CancelledError):
        future.result(LONG)
    assert future.cancelled()


@pytest.mark.parametrize("executor", ["processes"], indirect=True)
def test_a_call_that_kills_its_process_fails_alone(executor: Any) -> None:
    error = executor.submit(kill_itself).exception(LONG)
    assert (type(error), error.reason) == (JobFailedError, "signal")
    assert executor.submit(abs, -1).result(LONG) == 1


@ours
def test_chunks_are_jobs(executor: Any) -> None:
    list(executor.map(abs, range(10), chunksize=4))
    before = {job.job_id() for job in executor._backend.jobs()}
    results = executor.map(abs, range(10), chunksize=4)
    assert len({job.job_id() for job in executor._backend.jobs()} - before) <= 3
    assert list(results) == list(range(10))
    for chunksize in (0, -1):
        with pytest.raises(ValueError, match="chunksize"):
            executor.map(abs, [1], chunksize=chunksize)


def test_map_submits_in_bulk() -> None:
    class Counting(InlineBackend):
        launches: list[int] = []

        def launch(self, orders: Any) -> Any:
            self.launches.append(len(orders))
            return super().launch(orders)

    with Executor(make(Counting)) as executor:
        assert list(executor.map(abs, range(100), chunksize=10)) == list(range(100))
    assert Counting.launches == [10]


def test_no_thread_a_job() -> None:
    engine = UniformEngine()
    with Executor(engine) as executor:
        before = threading.active_count()
        futures = [executor.submit(abs, -n) for n in range(300)]
        assert threading.active_count() <= before + 1
        engine.status_of_all = JobStatus.DONE
        assert concurrent.futures.wait(futures, LONG).not_done == set()


def test_the_backend_stays_open() -> None:
    backend = make(ThreadsBackend)
    with Executor(backend) as executor:
        executor.submit(abs, -1)
    with Executor(backend) as executor:
        assert executor.submit(abs, -1).result(LONG) == 1
    backend.close()


def test_the_backend_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import anyjob

    monkeypatch.setenv("ANYJOB_BACKEND", "inline")
    anyjob.set_default_session(None)
    try:
        for name in (None, "inline"):
            with Executor(name) as executor:
                future = executor.submit(abs, -1)
            assert future.job is not None
            assert future.job.backend() is anyjob.get_backend("inline")
    finally:
        anyjob.default_session().close()
        anyjob.set_default_session(None)


def test_what_cannot_be_an_executor_is_refused_at_once() -> None:
    class OnlyCommands(UniformEngine):
        accepts = frozenset({"acme.sql"})

    with pytest.raises(UnsupportedSpecError, match="python"):
        Executor(OnlyCommands())
    with pytest.raises(UnsupportedSpecError, match="can_run='python'"):
        Executor(FindingBackend())
    with pytest.raises(SpecError, match="cpus"):
        Executor(UniformEngine(), cpus="many")
    assert issubclass(FindingBackend, BaseBackend)


def test_a_refusal_is_the_failure_of_the_future() -> None:
    class Guard(Services):
        def before_submit(self, *about: Any) -> None:
            raise Refused("not here")

    backend = make(InlineBackend)
    backend.services = Guard()
    with Executor(backend) as executor:
        future = executor.submit(abs, -1)
        assert future.job is None
        with pytest.raises(Refused, match="not here"):
            future.result(LONG)
        assert future.cancel() is False
        with pytest.raises(JobError, match="not here"):
            list(executor.map(abs, [1]))


def test_an_engine_that_cannot_be_reached() -> None:
    class Down(UniformEngine):
        def launch(self, orders: Any) -> Any:
            raise BackendUnavailableError("no route to host")

    executor = Executor(Down())
    with pytest.raises(BackendUnavailableError):
        executor.submit(abs, -1)
    with pytest.raises(BackendUnavailableError):
        executor.map(abs, [1])
    executor.shutdown()  # and waits for nothing


def test_running_and_cancel_while_the_engine_cannot_be_asked() -> None:
    engine = UniformEngine()
    engine.floor = 0.001  # type: ignore[misc]
    engine.ceiling = 60  # type: ignore[misc]
    with Executor(engine) as executor:
        future = executor.submit(abs, -1)
        engine.trouble.extend([BackendUnavailableError("down")] * 1000)
        assert future.running() in (True, False)
        assert future.cancel() is False  # the engine takes no cancel
        engine.trouble.clear()
        engine.status_of_all = JobStatus.DONE
        engine.notify([future.job.job_id()])  # type: ignore[union-attr]


def test_a_permanent_error_of_the_engine_is_that_of_the_future() -> None:
    engine = UniformEngine()
    with Executor(engine) as executor:
        engine.trouble.append(BackendAuthError("token expired"))
        future = executor.submit(abs, -1)
        with pytest.raises(BackendAuthError, match="token expired"):
            future.result(LONG)


def test_what_is_cancelled_while_it_is_submitted_is_cancelled() -> None:
    executor: Any = None

    class Slow(UniformEngine):
        terminated: list[str] = []

        def launch(self, orders: Any) -> Any:
            executor.shutdown(wait=False, cancel_futures=True)
            return super().launch(orders)

        def terminate(self, tickets: Any) -> Any:
            self.terminated += [ticket.job_id for ticket in tickets]
            return {ticket.job_id: True for ticket in tickets}

    executor = Executor(Slow())
    future = executor.submit(abs, -1)
    assert future.cancelled()
    assert Slow.terminated == [future.job.job_id()]


# --- callbacks, buffers, and what other executors take ----------------------------------------------


def _hold_in_turn(directory: Path, number: int) -> str:
    return hold(directory, f"held-{number}")


def test_map_with_a_timeout_cancels_what_was_waited_for(tmp_path: Path) -> None:
    """The call that was waited for in vain is cancelled with the others."""
    backend = make(ThreadsBackend, slots=1)
    executor = Executor(backend)
    first = executor.submit(hold, tmp_path)
    results = executor.map(_hold_in_turn, [tmp_path] * 2, range(2), timeout=0.01)
    with pytest.raises(TimeoutError):
        next(results)
    (tmp_path / "go").touch()
    assert first.result(LONG) == "held"
    executor.shutdown()
    assert not [path.name for path in tmp_path.glob("held-*")]
    backend.close()


@pytest.mark.parametrize("chunksize", [1, 2])
def test_map_with_a_buffer_reads_its_arguments_as_results_are_taken(chunksize: int) -> None:
    """As Python 3.14 has it: `map` of an endless iterable."""
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            read.append(number)
            yield number

    backend = make(ThreadsBackend, slots=2)
    results: Any = Executor(backend).map(abs, numbers(), buffersize=4, chunksize=chunksize)
    assert read == [0, 1, 2, 3]
    assert next(results) == 0
    assert len(read) == 4 + chunksize
    assert list(itertools.islice(results, 20)) == list(range(1, 21))
    results.close()
    backend.close()


@pytest.mark.parametrize(("given", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_a_buffer_that_makes_no_sense_is_told(given: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="buffersize"):
        Executor(make(InlineBackend)).map(abs, [1], buffersize=given)


@pytest.mark.parametrize("backend_type", [ThreadsBackend, ProcessesBackend])
@pytest.mark.parametrize("slots", [1, 3])
def test_a_done_callback_may_submit_and_wait(backend_type: Any, slots: int) -> None:
    """The thread that tells of an end has no slot any more."""
    backend = make(backend_type, slots=slots)
    executor = Executor(backend)
    got: list[Any] = []
    called = threading.Event()

    def again(future: Future[int]) -> None:
        try:
            got.append(executor.submit(abs, -future.result() - 1).result(LONG))
        except BaseException as error:
            got.append(error)
        finally:
            called.set()

    executor.submit(abs, -1).add_done_callback(again)
    assert called.wait(LONG)
    assert got == [2]
    backend.close()


def test_a_thread_that_could_not_be_started_is_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = make(ThreadsBackend, slots=2)
    executor = Executor(backend)

    def cannot(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", cannot)
        with pytest.raises(BackendError, match="no thread can be started"):
            executor.submit(abs, -1)
    both_run = threading.Barrier(2)
    futures = [executor.submit(both_run.wait, 5) for _ in range(2)]
    assert sorted(future.result(LONG) for future in futures) == [0, 1]
    backend.close()


@pytest.mark.parametrize("word", ["max_workers", "slots", "initializer", "initargs", "mp_context"])
def test_what_other_executors_take_is_told_the_way_out(word: str) -> None:
    given: dict[str, Any] = {word: 2}
    with pytest.raises(SpecError, match=f"takes no '{word}'"):
        Executor(make(InlineBackend), **given)


def test_libraries_read_how_many_jobs_run_at_a_time() -> None:
    """dask reads it: of a backend whose slots are an option, it is that."""
    from anyjob.builtin.local.backend import LocalBackend

    assert Executor(make(LocalBackend, slots=2))._max_workers == 2
    assert Executor(make(ThreadsBackend, slots=3))._max_workers == 3


AT_ITS_END = """
import sys, threading, anyjob

def mark(path, content):
    threading.Event().wait(0.1)
    open(path, "w").write(content)

kind, path = sys.argv[1:]
executor = anyjob.Executor(anyjob.get_backend(kind, slots=1))
for number in range(3):
    future = executor.submit(mark, path, str(number))
del executor, future
"""


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_the_end_of_a_program_waits_for_what_would_end_with_it(tmp_path: Path, kind: str) -> None:
    program, left = tmp_path / "program.py", tmp_path / "left"
    program.write_text(AT_ITS_END)
    subprocess.run([sys.executable, program, kind, left], check=True, timeout=60)
    assert left.read_text() == "2"
