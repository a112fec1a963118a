"""Jobs that take more memory than they asked for are ended. All that grows here has a limit of its own."""

from __future__ import annotations

import mmap
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import memory_growers as growers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keeper_driver import TESTS, KeeperDriver, running_keeper, until
from running_local import Local, running

from anyjob import Call, Command
from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.keeper.job import Job
from anyjob.builtin.local.keeper.processes import memory_watch
from anyjob.builtin.local.keeper.processes.memory_watch import (
    LONGEST,
    SHARE,
    SHORTEST,
    MemoryWatch,
    occupied,
    pause,
)
from anyjob.builtin.local.process_table import Process, read_process
from anyjob.errors import JobFailedError, JobRejectedError
from anyjob.status import JobStatus

MIB = 1 << 20
GROW = f"import sys; sys.path.insert(0, {TESTS!r}); import memory_growers as growers; "


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[KeeperDriver]:
    with running_keeper(tmp_path) as one:
        yield one


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with running(tmp_path) as made:
        yield made


def gone(pid: int) -> bool:
    process = read_process(pid)
    return process is None or process.state == b"Z"


# --- what processes occupy --------------------------------------------------------------------


def waiting(code: str) -> subprocess.Popen[str]:
    """A Python that has run something, and waits until its stdin is closed."""
    program = f"import os, sys\n{code}\nos.write(1, b'ready\\n')\nsys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate()


def test_what_processes_share_counts_once_where_that_decides() -> None:
    parent = waiting("data = bytearray(b'x') * (60 << 20)\nif os.fork(): os.fork()")
    try:
        until(lambda: len(children(parent.pid)) == 2, "it has forked")
        pids = [parent.pid, *children(parent.pid)]
        assert occupied(pids, 1000 * MIB) > 180 * MIB
        assert 60 * MIB < occupied(pids, 100 * MIB) < 100 * MIB
    finally:
        end(parent)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_shared_memory_counts_and_pages_of_files_do_not(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (50 * MIB))
    opened = f"os.open({str(tmp_path / 'large')!r}, os.O_RDONLY)"
    file = f"import mmap; f = mmap.mmap({opened}, 0, prot={mmap.PROT_READ})"
    process = waiting(f"{file}; sum(f[i] for i in range(0, len(f), 4096))")
    try:
        assert occupied([process.pid], 0) < 40 * MIB
    finally:
        end(process)
    process = waiting("import mmap; m = mmap.mmap(-1, 50 << 20); m.write(b'x' * (50 << 20))")
    try:
        assert occupied([process.pid], 0) > 50 * MIB
        assert occupied([process.pid], 1000 * MIB) > 50 * MIB
    finally:
        end(process)


def test_a_process_that_is_gone_occupies_nothing() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert occupied([process.pid], 0) == 0


@given(st.floats(-(2**50), 2**50), st.floats(0, 100))
def test_looks_are_not_too_close_nor_too_dear(room: float, took: float) -> None:
    waits = pause(room, took)
    assert waits >= SHORTEST
    assert took <= SHARE * waits * 1.0001
    assert waits <= max(LONGEST, took / SHARE)


# --- when it looks ----------------------------------------------------------------------------


def job(name: str, memory: int | None) -> Job:
    order = {"id": name, "attempt": 1, "spool": "/nowhere", "memory": memory, "work": {"kind": "command"}}
    return Job(order, b"/state")


class CountingLoop(EventLoop):
    """A loop that tells how much is due, now or later."""

    @property
    def pending(self) -> int:
        return sum(timer.call is not None for timer in self._timers)


def test_it_looks_only_while_there_is_something_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_watch, "SHORTEST", 0.001)
    loop = CountingLoop()
    looked: list[str] = []

    def processes_of(job: Job) -> list[Process]:
        looked.append(job.id)
        return []

    watch = MemoryWatch(loop, processes_of, lambda job, used: None)
    any_memory, limited, other = job("any", None), job("limited", MIB), job("other", MIB)
    watch.add(any_memory)
    assert loop.pending == 0
    watch.add(limited)
    watch.add(other)
    assert loop.pending == 1
    while len(looked) < 4:
        loop.run_once(10)
    assert set(looked) == {"limited", "other"}
    for each in (any_memory, limited):
        watch.remove(each)
        assert loop.pending == 1
    watch.remove(other)
    assert loop.pending == 0


# --- what happens to jobs ---------------------------------------------------------------------


def test_a_program_that_grows_is_ended_and_another_one_is_not(driver: KeeperDriver) -> None:
    driver.spawn("rest", sys.executable, "-c", f"{GROW}growers.wait_at({driver.fifo()!r})", memory=100 * MIB)
    driver.spawn("a", sys.executable, "-c", f"{GROW}growers.grow(400)", memory=100 * MIB, grace=600.0)
    ended = driver.end_of("a")
    assert (ended["cause"], ended["code"] < 0) == ("memory", True)
    assert ended["message"].startswith("it used ")
    assert ended["message"].endswith(" MiB of memory, and had asked for 100.0 MiB")
    assert ended["peak_memory"] > 100 * MIB
    assert driver.log().ended["a"]["message"] == ended["message"]
    Path(driver.state / "fifo").write_text("go on")
    rest = driver.end_of("rest")
    assert (rest["code"], rest["cause"]) == (0, None)


def test_a_call_that_grows_is_ended(driver: KeeperDriver) -> None:
    driver.call("a", growers.grow, 400, memory=100 * MIB)
    ended = driver.end_of("a")
    assert (ended["cause"], ended["code"] < 0) == ("memory", True)


def test_what_a_job_has_started_counts_wherever_it_has_gone(driver: KeeperDriver) -> None:
    code = f"{GROW}import os, time; growers.daemonize(growers.grow, 400); time.sleep(600)"
    driver.spawn("a", sys.executable, "-c", code, memory=100 * MIB)
    ended = driver.end_of("a")
    assert ended["cause"] == "memory"
    (pid,) = driver.text("a").split()
    until(lambda: gone(int(pid)), "what has grown is gone")


def test_several_processes_that_are_small_alone_count_together(driver: KeeperDriver) -> None:
    code = f"{GROW}import os; [os.fork() for _ in range(2)]; growers.grow(60)"
    driver.spawn("a", sys.executable, "-c", code, memory=150 * MIB)
    assert driver.end_of("a")["cause"] == "memory"


def test_a_job_that_is_being_cancelled_gets_no_grace_to_grow_in(driver: KeeperDriver) -> None:
    code = f"{GROW}import signal; signal.signal(signal.SIGTERM, lambda *_: growers.grow(400)); "
    code += "print('ready', flush=True); signal.pause()"
    driver.spawn("a", sys.executable, "-c", code, memory=100 * MIB)
    driver.start_of("a")
    path = driver.state / "spool" / "a" / "stdout"
    until(lambda: path.exists() and path.read_text() == "ready\n", "it handles the signal")
    driver.kill("a", grace=3600.0)
    ended = driver.end_of("a")
    assert (ended["cause"], ended["code"]) == ("cancel", -signal.SIGKILL)


def test_the_outcome_says_memory_with_the_figures_while_others_run_on(local: Local) -> None:
    backend = local.backend
    jobs = [
        backend.run(Command([sys.executable, "-c", f"{GROW}growers.grow(400)"]), memory="100MiB"),
        backend.run(Call(growers.grow, (400,)), memory="100MiB"),
    ]
    for job in jobs:
        outcome = job.outcome(60)
        assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "memory")
        assert "MiB of memory, and had asked for 100.0 MiB" in outcome.message
        assert outcome.peak_memory > 100 * MIB
        with pytest.raises(JobFailedError, match=r"failed \(memory\): it used "):
            job.result()
    assert backend.run(Call(growers.keep, (20,)), memory="100MiB").result(60) == 20


@pytest.mark.parametrize(
    ("work", "least"), [(Call(len, ("x",)), "16MiB"), (Command(["true"]), "1MiB")], ids=["call", "command"]
)
def test_less_than_it_takes_to_begin_is_refused(local: Local, work: Any, least: str) -> None:
    with pytest.raises(JobRejectedError, match=f"asks for 512KiB of memory.* needs {least} at least"):
        local.backend.run(work, memory="512KiB")
    assert local.backend.run(work, memory=least).outcome(60).status is JobStatus.DONE
