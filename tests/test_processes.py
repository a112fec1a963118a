"""`processes`: calls in workers, none of which can harm another or outlive the program."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.waiting import TIMEOUT, wait_for_exit, wait_for_file, wait_until

from anyjob.builtin.processes import ProcessesBackend
from anyjob.errors import JobCancelledError, JobFailedError, RemoteError, SerializationError
from anyjob.execution import spawning
from anyjob.job import JobStatus
from anyjob.runtime.services import Services
from anyjob.specs import Call, Command
from anyjob.standalone import pickle_streams


@pytest.fixture
def pool() -> Iterator[ProcessesBackend]:
    backend = ProcessesBackend.from_options("processes", {"slots": 2})
    yield backend
    backend.close()


@pytest.fixture
def single() -> Iterator[ProcessesBackend]:
    backend = ProcessesBackend.from_options("processes", {"slots": 1})
    yield backend
    backend.close()


def die(how: str, pid_file: str = "") -> None:
    if pid_file:
        # A child that holds open what we hold, and outlives us.
        child = subprocess.Popen(["sleep", "100"], close_fds=False)
        Path(pid_file).write_text(str(child.pid))
    if how == "exit":
        os._exit(3)
    if how == "quietly":
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def meet(here: str, there: str) -> str:
    """Be in a call at the same time as another."""
    Path(here).touch()
    while not Path(there).exists():
        time.sleep(0.002)
    return here


def wait_for_term(ready: str, cleaned: str, how: str) -> None:
    if how == "ignores":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(ready).write_text(str(os.getpid()))
    try:
        while True:
            time.sleep(0.002)
    except BaseException:
        if how != "swallows":
            raise
    finally:
        Path(cleaned).write_text("cleaned")


# --- a call that ends its process -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "reason", "says"),
    [
        ("exit", "exit-code", "exit code 3"),
        ("quietly", "exit-code", "exit code 0"),
        ("kill", "signal", "ended by SIGKILL"),
    ],
)
def test_a_call_that_ends_its_process_fails_alone(
    pool: ProcessesBackend, tmp_path: Path, how: str, reason: str, says: str
) -> None:
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    neighbour = pool.run(Call(meet, (one, other)))
    await_there(one)
    culprit = pool.run(Call(die, (how,)))
    after = pool.map(abs, range(5))
    with pytest.raises(JobFailedError, match=rf"the call ended its process \({says}\)") as caught:
        culprit.result()
    assert caught.value.reason == reason
    Path(other).touch()
    assert neighbour.result() == one
    assert [job.result() for job in after] == [0, 1, 2, 3, 4]


def await_there(path: str) -> None:
    wait_until(Path(path).exists)


def test_a_child_that_outlives_the_call_does_not_hide_its_death(
    single: ProcessesBackend, tmp_path: Path
) -> None:
    child = tmp_path / "child"
    job = single.run(Call(die, ("kill", str(child))))
    assert job.outcome(timeout=TIMEOUT).reason == "signal"
    assert single.run(Call(abs, (-1,))).result() == 1
    wait_for_exit(int(child.read_text()))  # and what it started is ended with it


def test_a_worker_that_dies_with_nothing_to_do_fails_nobody(single: ProcessesBackend) -> None:
    pid = single.run(Call(os.getpid)).result()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert single.run(Call(os.getpid)).result() != pid


def test_workers_are_used_again(single: ProcessesBackend) -> None:
    assert len({job.result() for job in single.map(lambda _: os.getpid(), range(5))}) == 1


def test_calls_do_not_run_in_the_caller(single: ProcessesBackend) -> None:
    assert single.run(Call(os.getpid)).result() != os.getpid()
    assert single.run(Call(os.getppid)).result() == os.getpid()


def test_the_environment_of_a_job_is_gone_after_it(single: ProcessesBackend) -> None:
    class Giving(Services):
        def environment(self, backend: Any, job_id: str, spec: Any) -> dict[str, str]:
            return {"TRACE": "on", "HOME": "/elsewhere"}

    look = Call(lambda: [os.environ.get(name) for name in ("ANYJOB_JOB_ID", "TRACE", "HOME")])
    plain, single.services = single.services, Giving()
    job = single.run(look)
    assert job.result() == [job.job_id(), "on", "/elsewhere"]
    single.services = plain
    job = single.run(look)
    assert job.result() == [job.job_id(), None, os.environ.get("HOME")]


def test_an_interpreter_that_is_not_there_fails_the_call() -> None:
    backend = ProcessesBackend.from_options("p", {"slots": 1, "python": "/no/such/python"})
    job = backend.run(Call(len, ("a",)))
    with pytest.raises(FileNotFoundError, match="/no/such/python"):
        job.result()
    backend.close()


# --- pickling -------------------------------------------------------------------------------------


class Circular:
    def __reduce__(self) -> Any:
        raise TypeError("cannot go")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            Call(len, (threading.Lock(),)),
            r"argument 0 of the call cannot be pickled.*<unlocked _thread\.lock",
        ),
        (Call(len, (1, {"a": [0, Circular()]})), r"argument 1\['a'\]\[1\] of the call .* of type Circular"),
        (Call(len, (), {"key": Circular()}), "argument 'key' of the call"),
    ],
)
def test_an_argument_that_cannot_be_pickled_is_refused_at_run(
    pool: ProcessesBackend, call: Call, says: str
) -> None:
    """executorlib#1057: an argument that cannot be pickled hung everything."""
    with pytest.raises(SerializationError, match=says):
        pool.run(call)
    with pytest.raises(SerializationError):
        pool.run_many([Call(len, ("a",)), call])
    assert pool.jobs() == []
    assert pool.run(Call(len, ("abc",))).result() == 3


def test_of_many_the_item_that_cannot_be_pickled_is_named(pool: ProcessesBackend) -> None:
    lock = threading.Lock()
    says = r"^item 2: argument 0 of the call cannot be pickled.*<unlocked _thread\.lock"
    with pytest.raises(SerializationError, match=says) as caught:
        pool.map(len, ["a", "b", lock, "c"])
    assert isinstance(caught.value.__cause__, TypeError)
    assert pool.jobs() == []
    with pytest.raises(SerializationError, match=r"^argument 0 of the call") as alone:
        pool.run(Call(len, (lock,)))
    assert str(pickle.loads(pickle.dumps(alone.value))) == str(alone.value)


def test_a_function_that_cannot_be_pickled_is_refused_naming_its_variable(pool: ProcessesBackend) -> None:
    """executorlib#1057."""
    lock = threading.Lock()
    with pytest.raises(SerializationError, match=r"the function \(its variable 'lock'\) of the call"):
        pool.run(Call(lambda: lock))


def test_a_variable_without_a_value_is_no_trouble(pool: ProcessesBackend) -> None:
    def function() -> Any:
        return late, lock

    lock = threading.Lock()
    with pytest.raises(SerializationError, match="its variable 'lock'"):
        pool.run(Call(function))
    late = None


def test_a_result_that_cannot_be_pickled_fails_the_job(single: ProcessesBackend) -> None:
    job = single.run(Call(threading.Lock))
    with pytest.raises(JobFailedError, match="the call returned a lock that cannot be pickled"):
        job.result()
    assert job.outcome().reason == "exception"
    assert single.run(Call(abs, (-1,))).result() == 1


class Picky(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__("only text")


def raise_picky() -> None:
    raise Picky(1, 2)


def test_an_exception_that_pickle_would_not_make_again(single: ProcessesBackend) -> None:
    job = single.run(Call(raise_picky))
    with pytest.raises(Picky, match="only text") as caught:
        job.result()
    assert isinstance(caught.value.__cause__, RemoteError)


def test_large_values_go_both_ways(single: ProcessesBackend) -> None:
    blob = os.urandom(1 << 20) * 20
    assert single.run(Call(bytes.swapcase, (blob,))).result() == blob.swapcase()


# --- cancelling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cleans", "swallows"])
def test_a_cancelled_call_may_clean_up(single: ProcessesBackend, tmp_path: Path, how: str) -> None:
    """dask-jobqueue#640, executorlib#1049: SIGTERM lets `finally` run, and ends a call that goes on."""
    ready, cleaned = tmp_path / "ready", tmp_path / "cleaned"
    job = single.run(Call(wait_for_term, (str(ready), str(cleaned), how)))
    pid = int(wait_for_file(ready))
    assert job.cancel() is True
    with pytest.raises(JobCancelledError):
        job.result(timeout=TIMEOUT)
    assert cleaned.read_text() == "cleaned"
    assert job.outcome().signal == signal.SIGTERM  # nobody had to wait for the KILL
    wait_for_exit(pid)
    assert single.run(Call(abs, (-1,))).result() == 1


def test_a_call_that_ignores_term_is_killed(
    single: ProcessesBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dask-jobqueue#640: TERM, grace, KILL."""
    monkeypatch.setattr(spawning, "GRACE", 0.1)
    ready, cleaned = tmp_path / "ready", tmp_path / "cleaned"
    job = single.run(Call(wait_for_term, (str(ready), str(cleaned), "ignores")))
    pid = int(wait_for_file(ready))
    assert job.cancel()
    job.wait_for_final_state(TIMEOUT)
    assert job.cancelled()
    wait_for_exit(pid)
    assert not cleaned.exists()


def spawn_and_wait(pid_file: str) -> None:
    child = subprocess.Popen(["sleep", "100"], start_new_session=True)
    Path(pid_file).write_text(f"{child.pid} {os.getpid()}")
    child.wait()


def test_cancelling_a_call_ends_its_process_tree(single: ProcessesBackend, tmp_path: Path) -> None:
    """qiskit-jku-provider#26, qiskit#638: the process tree ends."""
    pids = tmp_path / "pids"
    job = single.run(Call(spawn_and_wait, (str(pids),)))
    running = [int(pid) for pid in wait_for_file(pids).split()]
    assert job.cancel()
    job.wait_for_final_state(TIMEOUT)
    wait_for_exit(*running)


def test_a_call_that_runs_longer_than_its_walltime_is_ended(single: ProcessesBackend) -> None:
    single.run(Call(abs, (1,))).result()
    job = single.run(Call(time.sleep, (100,)), walltime=0.05)
    with pytest.raises(JobFailedError, match=r"longer than the 0\.05 s") as caught:
        job.result(timeout=TIMEOUT)
    assert caught.value.reason == "walltime"
    assert single.run(Call(abs, (-1,)), walltime="1h").result() == 1


# --- logs -----------------------------------------------------------------------------------------


def talk(text: str, go: str = "") -> None:
    print(text)
    print("bad", text, file=sys.stderr)
    if go:
        while not Path(go).exists():
            time.sleep(0.002)
        os.write(1, b"more\n")


def test_what_a_call_writes_is_in_its_logs(single: ProcessesBackend, tmp_path: Path) -> None:
    go = tmp_path / "go"
    jobs = [single.run(Call(talk, ("one", str(go)))), *single.map(talk, ["two", "three"])]
    lines = jobs[0].logs(follow=True)
    assert next(lines) == "one\n"
    assert jobs[0].running()
    go.touch()
    assert list(lines) == ["more\n"]
    for job in jobs:
        job.wait_for_final_state(TIMEOUT)
    assert [list(job.logs()) for job in jobs] == [["one\n", "more\n"], ["two\n"], ["three\n"]]
    assert [list(job.logs("stderr")) for job in jobs] == [["bad one\n"], ["bad two\n"], ["bad three\n"]]
    assert list(single.run(Call(abs, (1,))).logs(follow=True)) == []


def write_much(size: int) -> None:
    line = b"x" * 999 + b"\n"
    for _ in range(size // 100_000):
        os.write(1, line * 100)


def test_much_output_of_a_call_is_streamed_and_not_held(single: ProcessesBackend) -> None:
    """200 MB go to a file, and through this process in pieces."""
    import tracemalloc

    job = single.run(Call(write_much, (200_000_000,)))
    tracemalloc.start()
    try:
        job.result()
        assert sum(len(chunk) for chunk in job.log_bytes()) == 200_000_000
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert held < 16 << 20


# --- the program that submits ---------------------------------------------------------------------

SCRIPT = """
import os, sys, threading
import anyjob
from anyjob import Call

class Point:
    def __init__(self, x): self.x = x

def double(point): return Point(point.x * 2)

backend = anyjob.get_backend("processes", slots=2)
threading.Thread(target=threading.Event().wait, daemon=True).start()
if sys.argv[1] == "threaded":
    found = []
    thread = threading.Thread(target=lambda: found.append(backend.run(Call(double, (Point(4),))).result()))
    thread.start()
    thread.join()
else:
    found = [backend.run(Call(double, (Point(4),))).result()]
assert isinstance(found[0], Point), type(found[0])
print(found[0].x, *(job.result() for job in backend.map(lambda _: os.getpid(), range(4))))
if sys.argv[1] == "hang":
    from pathlib import Path
    import time
    backend.map(lambda _: time.sleep(100), range(2))
    while backend._threads.waiting(): time.sleep(0.002)
    print("ready", flush=True)
    time.sleep(100)
if sys.argv[1] == "leave":
    import time
    backend.map(lambda _: time.sleep(100), range(4))
"""


def start(tmp_path: Path, how: str) -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, str(script), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )


@pytest.mark.parametrize("how", ["plain", "threaded", "leave"])
def test_a_script_needs_no_guard_and_is_not_forked(tmp_path: Path, how: str) -> None:
    """psij-python#387: fork in a threaded parent hung. There is no `if __name__ == "__main__"` here, and
    classes of the script come back as themselves; with work left over, the program still ends."""
    program = start(tmp_path, how)
    out, err = program.communicate(timeout=TIMEOUT)
    assert (program.returncode, err) == (0, "")
    first, *pids = out.split()
    assert first == "8"
    wait_for_exit(*map(int, pids))


def test_the_workers_go_when_the_program_is_killed(tmp_path: Path) -> None:
    program = start(tmp_path, "hang")
    assert program.stdout is not None
    assert program.stderr is not None
    pids = [int(pid) for pid in program.stdout.readline().split()[1:]]
    assert program.stdout.readline() == "ready\n"
    workers = [child.pid for child in psutil.Process(program.pid).children()]
    assert set(pids) <= set(workers)
    program.kill()
    program.wait()
    wait_for_exit(*workers)
    program.stdout.close()
    program.stderr.close()


KILLED = """
import os, signal, time
import anyjob, psutil

job = anyjob.get_backend("processes", slots=1).run(anyjob.Call(time.sleep, (1000,)))
while not (job.running() and (workers := psutil.Process().children())): pass
print(workers[0].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_that_was_just_started_goes_when_the_program_is_killed(tmp_path: Path) -> None:
    """Linux tells it of that death only if it has asked to be told; its first call has arrived by then."""
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    wait_for_exit(int(done.stdout))


def test_the_workers_go_when_the_pool_is_closed(tmp_path: Path) -> None:
    others = set(psutil.Process().children())
    backend = ProcessesBackend.from_options("p", {"slots": 2})
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    for job in (backend.run(Call(meet, (one, other))), backend.run(Call(meet, (other, one)))):
        job.result()
    workers = set(psutil.Process().children()) - others
    assert len(workers) >= 2
    backend.close()
    assert not any(worker.is_running() for worker in workers)  # reaped, too


# --- the worker -----------------------------------------------------------------------------------


def test_frames_are_whole_or_none() -> None:
    read, write = os.pipe()
    pickle_streams.write_frame(write, b"")
    pickle_streams.write_frame(write, b"abc")
    os.write(write, (9).to_bytes(8, "little") + b"half")
    os.close(write)
    with open(read, "rb") as stream:
        assert pickle_streams.read_frame(stream) == b""
        assert pickle_streams.read_frame(stream) == b"abc"
        with pytest.raises(EOFError):
            pickle_streams.read_frame(stream)
        with pytest.raises(EOFError):
            pickle_streams.read_frame(stream)


def test_a_call_that_forks_answers_once(single: ProcessesBackend) -> None:
    job = single.run(Call(os.fork))
    assert job.result() > 0
    assert [single.run(Call(abs, (-n,))).result() for n in range(3)] == [0, 1, 2]


def close_stdout() -> None:
    sys.stdout = None


def test_a_call_that_breaks_its_stdout_harms_nobody(single: ProcessesBackend) -> None:
    pid = single.run(Call(os.getpid)).result()
    assert single.run(Call(close_stdout)).result() is None
    assert single.run(Call(os.getpid)).result() == pid


def test_a_command_gets_ctrl_c_as_ever(single: ProcessesBackend) -> None:
    """A call's own children can be interrupted: the worker passes no ignored SIGINT on."""
    script = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    for spec in (
        Call(subprocess.call, ([sys.executable, "-c", script],), {"stderr": subprocess.DEVNULL}),
        Command([sys.executable, "-c", script]),
    ):
        job = single.run(spec)
        job.wait_for_final_state(TIMEOUT)
        if isinstance(spec, Call):
            assert job.result() == -signal.SIGINT
        else:
            assert (job.status(), job.outcome().signal) == (JobStatus.ERROR, signal.SIGINT)
