"""`processes`: what is large is held once, and each call finds what it was submitted with."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from anyjob.backend import BaseBackend
from anyjob.builtin.pool import PoolBackend
from anyjob.builtin.processes import ProcessesBackend
from anyjob.builtin.threads import ThreadsBackend
from anyjob.executor import Executor
from anyjob.serialization import stored_values
from anyjob.specs import Call

SIZE = 8 << 20
MANY = 10


@pytest.fixture
def single() -> Iterator[ProcessesBackend]:
    backend = ProcessesBackend.from_options("processes", {"slots": 1})
    yield backend
    backend.close()


@pytest.fixture(params=[ProcessesBackend, ThreadsBackend])
def pool(request: pytest.FixtureRequest) -> Iterator[PoolBackend]:
    backend = request.param.from_options("pool", {"slots": 1})
    yield backend
    backend.close()


class Gate:
    """A call that holds the one slot until the gate is opened."""

    def __init__(self, backend: BaseBackend, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self.job = backend.run(Call(Path.read_text, (path,)))

    def open(self) -> None:
        self._path.write_text("")
        self.job.result(timeout=60)


def held(work: Callable[[], Any]) -> tuple[Any, int]:
    """Return what a call returns, and how many bytes more this process holds after it."""
    tracemalloc.start()
    try:
        kept = work()
        gc.collect()
        return kept, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def length(data: Any, _: int = 0) -> int:
    return len(data)


@pytest.mark.parametrize("how", ["shared", "argument"])
def test_data_of_calls_that_wait_is_held_once(single: ProcessesBackend, tmp_path: Path, how: str) -> None:
    gate = Gate(single, tmp_path / "gate")
    data = [bytes(SIZE)]
    if how == "shared":
        jobs, size = held(lambda: single.map(partial(bytes.count, data[0]), [b"1"] * MANY))
    else:
        jobs, size = held(lambda: single.map("builtins:len", data * MANY))
    assert size < SIZE
    gate.open()
    assert {job.result(timeout=60) for job in jobs} == {0 if how == "shared" else SIZE}


def test_results_are_held_once(pool: PoolBackend) -> None:
    with Executor(pool) as executor:
        futures, size = held(lambda: finished([executor.submit(bytes, SIZE) for _ in range(MANY)]))
        assert size < (MANY + 1) * SIZE
    jobs, size = held(lambda: finished(pool.map(bytes, [SIZE] * MANY)))
    assert size < SIZE
    first = jobs[0].result()
    assert first == futures[0].result() == bytes(SIZE)
    assert jobs[0].result() is not first


def finished(jobs: list[Any]) -> list[Any]:
    for job in jobs:
        assert job.exception(timeout=60) is None
    return jobs


def test_a_result_is_there_as_long_as_its_job(pool: PoolBackend) -> None:
    job = pool.run(Call(bytes, (SIZE,)))
    outcome = job.outcome()
    pool.close()
    assert len(job.result()) == SIZE
    directory = stored_values._directory
    assert directory is not None
    assert os.listdir(directory[1])
    del job, outcome
    gc.collect()
    assert os.listdir(directory[1]) == []


def test_a_result_that_finds_no_file_is_held(pool: PoolBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, too."""
    monkeypatch.setattr(stored_values, "new_path", lambda: "/no/such/directory/value")
    assert len(pool.run(Call(bytes, (SIZE,))).result()) == SIZE


def test_a_call_that_dies_after_its_value_leaves_no_file(single: ProcessesBackend) -> None:
    job = single.run(Call(Dying))
    assert job.exception() is not None
    assert stored_values._directory is None or os.listdir(stored_values._directory[1]) == []


class Dying:
    """It ends the process that pickles it, half way."""

    def __reduce__(self) -> Any:
        return Dying, (bytes(SIZE), Ending())


class Ending:
    def __reduce__(self) -> Any:
        os._exit(3)


def test_code_and_what_it_refers_to_are_as_they_were_at_submission(
    single: ProcessesBackend, tmp_path: Path
) -> None:
    gate = Gate(single, tmp_path / "gate")
    data = bytes(SIZE)
    jobs: list[Any] = []
    for number in range(3):
        jobs.append(single.run(Call(lambda: (number, len(data)))))  # noqa: B023 - that is the point
    listed = [1]
    jobs.append(single.run(Call(length, (listed,))))
    listed.append(2)
    gate.open()
    assert [job.result(timeout=60) for job in jobs] == [(0, SIZE), (1, SIZE), (2, SIZE), 1]


class Fickle:
    """It can be pickled, as often as not."""

    data = bytes(SIZE)
    times = 0

    def __reduce__(self) -> Any:
        Fickle.times += 1
        if Fickle.times > 1:
            raise TypeError("not again")
        return len, (self.data,)


def test_what_cannot_be_pickled_when_it_is_sent_fails_its_call_alone(single: ProcessesBackend) -> None:
    Fickle.times = 0
    job = single.run(Call(abs, (Fickle(),)))
    with pytest.raises(TypeError, match="not again"):
        job.result(timeout=60)
    assert single.run(Call(abs, (-1,))).result(timeout=60) == 1


def test_large_arguments_that_the_call_cannot_load_do_not_hurt_the_next(single: ProcessesBackend) -> None:
    pid = single.run(Call(os.getpid)).result()
    job = single.run(Call(len, (Unloadable(bytes(SIZE)),)))
    with pytest.raises(ValueError, match="not here"):
        job.result(timeout=60)
    assert single.run(Call(os.getpid)).result(timeout=60) == pid


def refuse(data: bytes) -> Any:
    raise ValueError("not here")


class Unloadable:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def __reduce__(self) -> Any:
        return refuse_first, (refuse, self.data)


def refuse_first(refusal: Any, data: bytes) -> Any:
    return refusal(data)


# --- what a call finds ----------------------------------------------------------------------------


def test_a_call_finds_the_environment_that_it_was_submitted_with(
    single: ProcessesBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    single.run(Call(os.putenv, ("X", "y"))).result()
    monkeypatch.setenv("ANYJOB_TEST_LATE", "here")
    assert single.run(Call(os.getenv, ("ANYJOB_TEST_LATE",))).result() == "here"
    monkeypatch.delenv("ANYJOB_TEST_LATE")
    assert single.run(Call(os.getenv, ("ANYJOB_TEST_LATE",))).result() is None


def change_environment() -> int:
    os.environ["ANYJOB_TEST_LEFT"] = "behind"
    del os.environ["PATH"]
    return os.getpid()


def test_a_call_does_not_see_what_another_has_done_to_the_environment(single: ProcessesBackend) -> None:
    pid = single.run(Call(change_environment)).result()
    look = Call(lambda: (os.getpid(), os.environ.get("ANYJOB_TEST_LEFT"), os.environ.get("PATH")))
    assert single.run(look).result() == (pid, None, os.environ["PATH"])


def test_a_call_imports_from_where_its_submitter_does(
    single: ProcessesBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = single.run(Call(os.getpid)).result()
    (tmp_path / "module_on_a_late_path.py").write_text("def answer(): return 42")
    monkeypatch.syspath_prepend(tmp_path)
    assert single.run(Call("module_on_a_late_path:answer")).result() == 42
    assert single.run(Call(os.getpid)).result() == pid


def test_a_module_that_has_changed_is_imported_anew(
    single: ProcessesBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "module_that_is_edited.py"
    module.write_text("def answer(): return 1")
    monkeypatch.syspath_prepend(tmp_path)
    answer = Call("module_that_is_edited:answer")
    assert single.run(answer).result() == 1
    pid = single.run(Call(os.getpid)).result()
    module.write_text("def answer(): return 1234")
    assert single.run(answer, name="large", walltime="1h").result() == 1234
    assert single.run(Call(os.getpid)).result() != pid


def test_calls_of_before_a_change_are_made_with_what_was_before(
    single: ProcessesBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "module_edited_half_way.py"
    module.write_text("def answer(): return 1")
    monkeypatch.syspath_prepend(tmp_path)
    assert single.run(Call("module_edited_half_way:answer")).result() == 1
    gate = Gate(single, tmp_path / "gate")
    jobs = single.run_many([Call("module_edited_half_way:answer")] * 3)
    # The new file is later in one step: by a coarse clock, a change may bear the time of the submission.
    changed = tmp_path / "changed.py"
    changed.write_text("def answer(: half written")
    later = time.time() + 10
    os.utime(changed, (later, later))
    changed.rename(module)
    gate.open()
    assert [job.result(timeout=60) for job in jobs] == [1, 1, 1]


def test_a_module_that_changes_while_its_first_call_runs_is_imported_anew(
    single: ProcessesBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the worker notes of a file once the call has ended is not what it has imported."""
    module = tmp_path / "module_edited_by_its_call.py"
    module.write_text("def answer(path, text):\n    path.write_text(text)\n    return 1")
    monkeypatch.syspath_prepend(tmp_path)
    answer = Call("module_edited_by_its_call:answer", (module, "def answer(*_): return 2"))
    assert [single.run(answer).result(timeout=60) for _ in range(2)] == [1, 2]
    pid = single.run(Call(os.getpid)).result(timeout=60)
    assert [single.run(answer).result(timeout=60), single.run(Call(os.getpid)).result(timeout=60)] == [2, pid]


def test_the_workers_end_with_the_executor(single: ProcessesBackend) -> None:
    with Executor(single) as executor:
        pid = executor.submit(os.getpid).result(timeout=60)
        assert executor.submit(os.getpid).result(timeout=60) == pid
    assert not any(thread.name == f"anyjob-reap-{pid}" for thread in threading.enumerate())
    assert single.run(Call(abs, (-1,))).result(timeout=60) == 1


# --- SIGCHLD --------------------------------------------------------------------------------------

IGNORING = """
import os, signal, subprocess, sys
{handler}
import anyjob
from anyjob import Call, Command

backend = anyjob.get_backend(sys.argv[1])

def ended(*argv, **more):
    job = backend.run(Command(list(argv)), **more)
    job.wait_for_final_state(60)
    return job.outcome()

print(backend.run(Command(["sh", "-c", "echo out"])).result().stdout.text(), end="")
print(ended("sh", "-c", "exit 3").exit_code, ended("sh", "-c", "kill -9 $$").signal)
print(ended("/no/such/program").exit_code, ended("sh", "-c", "exit 0").peak_memory > 0)
if sys.argv[1] != "inline":
    print(ended("sleep", "100", walltime=0.05).reason)
print(ended("sh", "-c", "sh -c 'exit 5'; exit $?").exit_code)
if sys.argv[1] == "processes":
    print(backend.run(Call(subprocess.call, (["sh", "-c", "exit 4"],))).result())
    print(backend.run(Call(os._exit, (5,))).outcome().message)
"""


@pytest.mark.parametrize("name", ["inline", "threads", "processes"])
def test_programs_run_where_sigchld_is_ignored(tmp_path: Path, name: str) -> None:
    """The system tells nobody then how a child has ended."""
    script = IGNORING.format(handler="signal.signal(signal.SIGCHLD, signal.SIG_IGN)")
    done = subprocess.run(
        [sys.executable, "-c", script, name], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    expected = ["out", "3 9", "127 True", *(["walltime"] if name != "inline" else []), "5"]
    assert lines[: len(expected)] == expected
    if name == "processes":
        said = (
            "the call ended its process (how is not known: this program ignores SIGCHLD) and left no result"
        )
        assert lines[len(expected) :] == ["4", said]


def test_a_program_whose_end_somebody_else_was_told_is_lost(tmp_path: Path) -> None:
    script = """
import os, signal
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
signal.signal(signal.SIGCHLD, reap)
import anyjob
job = anyjob.get_backend("inline").run(anyjob.Command(["sh", "-c", "exit 0"]))
if job.outcome().reason == "lost":
    print(job.outcome().message)
else:
    print("a handler of SIGCHLD", job.outcome().status)  # we were faster
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.stderr == ""
    assert "a handler of SIGCHLD" in done.stdout
