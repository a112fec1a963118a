"""A program forks: what belongs to one process is made anew in the child, or says that it is the parent's."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from right_backend import RightEngine
from support.forking import IN_CHILD
from support.waiting import TIMEOUT

from anyjob.process import forks

HEAD = (
    IN_CHILD
    + """
import asyncio, concurrent.futures, os, sys, threading, traceback
from pathlib import Path
import anyjob
from anyjob import BackendError, Call, Command, Config, Executor, Registry, Session, aio
from anyjob.session.default import set_default_session
from right_backend import RightBackend

root, name = Path(sys.argv[1]), sys.argv[2]
registry = Registry()
registry.register_backend("right", RightBackend)
two = {"slots": 2}
types = {"local": two, "threads": two, "processes": two, "right": {"directory": str(root / "engine")}}
backends = {type_name: {"type": type_name, **options} for type_name, options in types.items()}
config = Config.from_dict({"backends": backends, "default_backend": name})
set_default_session(Session(config, registry, root / "state"))
backend = anyjob.get_backend()
gate, other_gate = root / "gate", root / "other-gate"
for path in (gate, other_gate):
    os.mkfifo(path)
waits = Command(["sh", "-c", 'read line < "$1"; echo over', "sh", str(gate)])
LONG = 60

def open_gate(path=gate):
    path.write_text("go\\n")

def sockets():
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            pass
    return [path for path in found if path.startswith("socket:")]
"""
)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "engine").mkdir()
    yield tmp_path
    RightEngine(tmp_path / "engine").stop()


def run(root: Path, name: str, code: str) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", HEAD + code, str(root), name]
    program = subprocess.Popen(
        command,
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = program.communicate(timeout=2 * TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)  # its children, too
        pytest.fail(f"it hangs: {program.communicate()[0]}")
    assert (program.returncode, said) == (0, "")


DURABLE = pytest.mark.parametrize("name", ["local", "right"])
POOLS = pytest.mark.parametrize("name", ["threads", "processes"])


@DURABLE
def test_handles_on_durable_jobs_go_on_in_a_child(root: Path, name: str) -> None:
    """psij-python#387: fork in a threaded parent hung."""
    code = """
job = backend.run(waits)
told = []
job.add_done_callback(told.append)  # so that who watches it is at work
ended = backend.run(Command(["true"]))
assert ended.result(LONG).exit_code == 0

def child():
    assert sockets() == []
    assert not job.done()
    assert anyjob.get_job(job.job_id()) == job
    open_gate()
    assert job.result(LONG).stdout.text() == "over\\n"
    assert ended.result().exit_code == 0
    assert backend.run(Call(divmod, (7, 2))).result(LONG) == (3, 1)
    assert asyncio.run(again()) == (3, 1)
    assert told == []  # that is for the parent to hear

async def again():
    job = await aio.run(Call(divmod, (7, 2)))
    return await job

in_child(child)
assert job.result(LONG).stdout.text() == "over\\n"
assert told == [job]
assert backend.run(Call(divmod, (7, 2))).result(LONG) == (3, 1)
assert asyncio.run(again()) == (3, 1)
in_child(lambda: in_child(lambda: backend.run(Command(["true"])).result(LONG)))
"""
    run(root, name, code)


@DURABLE
def test_futures_of_durable_jobs_go_on_in_a_child(root: Path, name: str) -> None:
    code = """
executor = Executor(backend)
other = executor.with_(name="other")
first, second = executor.submit(gate.read_text), executor.submit(other_gate.read_text)
assert None not in (first.job, second.job)  # they were handed over
told = []
first.add_done_callback(told.append)

def child():
    open_gate()
    open_gate(other_gate)
    assert first.result(LONG) == "go\\n"
    assert concurrent.futures.wait([second], LONG).done == {second}
    assert other.submit(divmod, 7, 2).result(LONG) == (3, 1)
    executor.shutdown()  # which waits for this process's own
    assert told == []

in_child(child)
assert {first.result(LONG), second.result(LONG)} == {"go\\n"}
executor.shutdown()
assert told == [first]
"""
    run(root, name, code)


@POOLS
def test_jobs_of_a_pool_are_the_parents(root: Path, name: str) -> None:
    code = """
ended = backend.run(Call(divmod, (7, 2)))
assert ended.result(LONG) == (3, 1)
job = backend.run(waits)
future = Executor(backend).submit(other_gate.read_text)
log = job._record.spool

def raises(call):
    try:
        call()
    except BackendError as error:
        assert "the process that this one was forked off from" in str(error), error
    else:
        raise AssertionError("nothing was raised")

def child():
    assert sockets() == []
    assert ended.result() == (3, 1)
    for call in (job.status, job.result, job.cancel, job.wait_for_final_state, future.result):
        raises(call)
    raises(lambda: anyjob.wait([job]))
    raises(lambda: asyncio.run(await_it()))
    assert backend.jobs() == [] == anyjob.jobs(state="RUNNING")
    assert backend.run(Call(divmod, (7, 2))).result(LONG) == (3, 1)
    assert backend.run(Command(["true"])).result(LONG).exit_code == 0
    assert asyncio.run(aio.call(divmod, 7, 2)) == (3, 1)
    backend.close()

async def await_it():
    await job

in_child(child)
assert log.exists()
assert not job.in_final_state()
open_gate()
open_gate(other_gate)
assert future.result(LONG) == "go\\n"
assert job.result(LONG).stdout.text() == "over\\n"
assert backend.run(Call(divmod, (7, 2))).result(LONG) == (3, 1)
"""
    run(root, name, code)


@pytest.mark.parametrize("name", ["local", "right", "threads", "processes"])
def test_a_child_does_not_hang_on_what_other_threads_held(root: Path, name: str) -> None:
    """Threads submit and wait all the time; what a child inherits of that is anything."""
    code = """
stop = threading.Event()

def work():
    while not stop.is_set():
        anyjob.wait(backend.run_many([Command(["true"])] * 3), LONG)
        anyjob.jobs(limit=3)
        anyjob.get_backend(name)

# What is imported at the first use is imported now: Python's locks of modules stay locked in a child, too.
anyjob.wait([backend.run(Command(["true"]))], LONG)
anyjob.jobs(limit=3)
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(8):
    backend.run(Command(["true"])).result(LONG)
    in_child(lambda: (anyjob.run(Command(["true"])).result(LONG), anyjob.jobs(limit=1)))
stop.set()
for thread in threads:
    thread.join()
"""
    run(root, name, code)


class Counted:
    """Counts how often it was made anew."""

    def __init__(self, report: int) -> None:
        self.made = 0
        self.report = report
        forks.in_each_process(self.make)

    def make(self) -> None:
        self.made += 1
        if self.made > 1:
            os.write(self.report, b"x")


def in_a_child(report: int, reader: int) -> bytes:
    """Fork, and return what the child has written."""
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)
    os.close(report)
    with open(reader, "rb") as stream:
        return stream.read()


def test_what_is_alive_is_made_anew_in_each_child() -> None:
    reader, report = os.pipe()
    first, second, gone = Counted(report), Counted(report), Counted(report)
    del gone
    gc.collect()
    assert (first.made, forks.generation) == (1, 0)
    assert in_a_child(report, reader) == b"xx"
    assert (second.made, forks.generation) == (1, 0)


def test_one_that_cannot_be_made_keeps_no_other_from_it(root: Path) -> None:
    code = """
import logging
from anyjob.process import forks

said = []
logging.getLogger("anyjob").addHandler(logging.NullHandler())
logging.getLogger("anyjob").addFilter(lambda record: said.append(record.getMessage()))
forks.in_children(lambda: int("one"))
forks.in_children(lambda: said.append("the next"))

def child():
    assert "in a process that was forked off: invalid literal" in said[0], said
    assert said[1:] == ["the next"]

in_child(child)
assert said == []
"""
    run(root, "threads", code)


def test_nothing_is_left_of_what_is_gone() -> None:
    before = len(forks._calls)
    reader, report = os.pipe()
    many = [Counted(report) for _ in range(100)]
    assert len(forks._calls) == before + 100
    del many
    gc.collect()
    assert len(forks._calls) <= before
    os.close(report)
    os.close(reader)


def test_what_is_done_when_a_job_is_forgotten_is_the_parents_to_do(root: Path) -> None:
    """A child lets go of handles that it has inherited: their files are its parent's."""
    code = """
import gc
from anyjob.process import forks

job = backend.run(Call(divmod, (7, 2)))
assert job.result(LONG) == (3, 1)
forgotten = []
backend.when_forgotten(job.job_id(), lambda: forgotten.append("by when_forgotten"))

def child():
    global job
    del job
    gc.collect()
    assert forgotten == []

in_child(child)
del job
gc.collect()
assert forgotten == ["by when_forgotten"]
"""
    run(root, "threads", code)
