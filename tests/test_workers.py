"""Calls that share processes: workers of the keeper, as processes, driven over the keeper's socket."""

from __future__ import annotations

import operator
import os
import pickle
import random
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import zygote_calls as calls
from keeper_driver import TESTS, KeeperDriver, running_keeper, until

from anyjob.builtin.local.process_table import read_process
from anyjob.builtin.local.supervisor.keepers.dead_keeper import kill_leftovers
from anyjob.builtin.local.zygote import child as zygote_child
from anyjob.builtin.local.zygote import worker as zygote_worker


class WorkerDriver(KeeperDriver):
    """Has calls share processes, and waits for each before the next."""

    def call(self, job: str, fn: Any, *args: Any, **more: Any) -> None:
        super().call(job, fn, *args, **{"recycle": 1000, **more})

    def made(self, job: str, fn: Any, *args: Any, **more: Any) -> Any:
        """Make a call, and return its value."""
        self.call(job, fn, *args, **more)
        assert self.end_of(job)["code"] == 0, self.ended[job]
        return self.value(job)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[WorkerDriver]:
    with running_keeper(tmp_path, driven=WorkerDriver) as one:
        assert isinstance(one, WorkerDriver)
        yield one


def gone(pid: int) -> bool:
    process = read_process(pid)
    return process is None or process.state == b"Z"


def written(driver: KeeperDriver, job: str, text: str) -> None:
    path = driver.state / "spool" / job / "stdout"
    until(lambda: path.exists() and path.read_text() == text, f"{job} writes {text!r}")


# --- call after call --------------------------------------------------------------------------


def test_a_process_makes_call_after_call(driver: WorkerDriver) -> None:
    pids = [driver.made(job, os.getpid) for job in "abc"]
    assert len(set(pids)) == 1
    assert driver.workers() == pids[:1]
    assert [driver.started[job]["pid"] for job in "abc"] == pids
    assert {path.name for path in (driver.state / "spool" / "b").iterdir()} == {"stderr", "stdout"}
    event = driver.ended["c"]
    assert (event["cause"], event["pid"]) == (None, pids[0])
    assert event["peak_memory"] > 1_000_000
    assert driver.said("c")["host"] == os.uname().nodename


def test_each_tells_what_it_has_used_itself(driver: WorkerDriver) -> None:
    large = driver.made("a", calls.use, 64 << 20, 0.3)
    small = driver.made("b", calls.use, 1 << 20, 0.0)
    driver.call("c", calls.use_and_exit, 1 << 20)
    driver.end_of("c")
    assert driver.ended["c"]["pid"] == small == large
    a, b, c = (driver.ended[job] for job in "abc")
    for name in ("cpu_time", "peak_memory", "written_bytes"):
        assert b[name] < a[name]
        assert c[name] < a[name]
    assert a["cpu_time"] >= 0.3
    assert min(a["peak_memory"], a["written_bytes"]) >= 64 << 20
    assert min(b["written_bytes"], c["written_bytes"]) >= 1 << 20


def test_its_outcome_is_in_the_log_before_it_is_told(driver: WorkerDriver) -> None:
    driver.made("a", operator.add, 1, 2)
    report = driver.log().ended["a"]["report"]
    assert pickle.loads(pickle.loads(report)["value"]) == 3


def test_calls_at_once_are_in_processes_of_their_own(driver: WorkerDriver) -> None:
    fifos = {job: driver.fifo(job) for job in "ab"}
    for job in "ab":
        driver.call(job, calls.read_line, fifos[job])
    assert driver.start_of("a") != driver.start_of("b")
    for fd in driver.held:
        os.write(fd, b"go\n")
    driver.end_of("a", "b")
    assert len(driver.workers()) == 2


def test_calls_of_different_surroundings_share_no_process(driver: WorkerDriver) -> None:
    one = driver.made("a", os.getpid, environment=driver.environment(MINE="1"))
    other = driver.made("b", os.getpid, environment=driver.environment(MINE="2"))
    alone = driver.made("c", os.getpid, environment=driver.environment(MINE="1"), recycle=0)
    assert len({one, other, alone}) == 3
    assert driver.made("d", os.getpid, environment=driver.environment(MINE="1")) == one


def test_each_finds_a_clean_slate(driver: WorkerDriver, tmp_path: Path) -> None:
    where = {"environment": driver.environment(PATH="/bin"), "cwd": os.fsencode(tmp_path)}
    before = driver.made("a", calls.slate, **where)
    pid = driver.made("b", calls.spoil, **where, extra={"ONLY": "b"})
    after = driver.made("c", calls.slate, **where)
    assert driver.ended["c"]["pid"] == pid
    for one in (before, after):
        one["environ"].pop("ANYJOB_SPOOL")
    assert after == before
    assert driver.made("d", calls.draw, **where) != random.Random(7).random()


def test_numpy_draws_other_numbers_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is seeded with what it takes: a few numbers of 32 bits, which are never the same."""
    seeds: list[list[int]] = []
    monkeypatch.setitem(sys.modules, "numpy.random", SimpleNamespace(seed=seeds.append))
    zygote_child.seed_numpy()
    zygote_child.seed_numpy()
    assert seeds[0] != seeds[1]
    assert all(len(seed) == 8 and max(seed) < 1 << 32 for seed in seeds)


def test_each_has_its_own_streams_variables_and_mark(driver: WorkerDriver) -> None:
    for job in "ab":
        found = driver.made(job, calls.surroundings, extra={job: job})
        assert found["environ"]["ANYJOB_JOB_ID"] == job
        assert [name for name in "ab" if name in found["environ"]] == [job]
        assert b"ANYJOB_JOB_ID=" + job.encode() in found["carried"]
    driver.made("c", calls.speak)
    driver.made("d", calls.speak)
    for job in "cd":
        assert sorted(driver.text(job).split()) == ["out", "raw"]
        assert driver.text(job, "stderr") == "err\n"


def test_a_call_that_raises_leaves_its_process_to_the_next(driver: WorkerDriver) -> None:
    pid = driver.made("a", os.getpid)
    driver.call("b", operator.truediv, 1, 0)
    driver.call("c", sys.exit, 7)
    driver.call("d", calls.unpicklable)
    driver.call("e", sys._getframe)
    driver.end_of("b", "c", "d", "e")
    assert [driver.ended[job]["code"] for job in "bcde"] == [1, 7, 0, 1]
    assert isinstance(pickle.loads(driver.said("b")["exception"]), ZeroDivisionError)
    assert "ZeroDivisionError" in driver.text("b", "stderr")
    assert "cannot be pickled" in driver.said("e")["message"]
    assert driver.made("f", os.getpid) in {pid, *(driver.ended[job]["pid"] for job in "bcde")}


def test_a_large_value_is_in_the_spool_before_it_is_told(driver: WorkerDriver) -> None:
    assert driver.made("a", operator.mul, b"x", 1 << 20) == b"x" * (1 << 20)
    assert driver.ended["a"]["report"] is None
    assert driver.made("b", operator.add, 1, 2) == 3
    assert driver.ended["b"]["pid"] == driver.ended["a"]["pid"]


# --- when another one is needed -----------------------------------------------------------------


def test_a_process_makes_so_many_calls(driver: WorkerDriver) -> None:
    pids = [driver.made(job, os.getpid, recycle=2) for job in "abcd"]
    assert (pids[0], pids[2]) == (pids[1], pids[3])
    assert pids[0] != pids[2]


def test_what_ends_its_process_fails_alone(driver: WorkerDriver) -> None:
    driver.made("a", os.getpid)
    driver.call("b", os._exit, 9)
    driver.call("c", os.abort)
    driver.call("d", operator.add, 1, 1)
    driver.end_of("b", "c", "d")
    assert [driver.ended[job]["code"] for job in "bcd"] == [9, -signal.SIGABRT, 0]


def test_a_thread_that_is_left_is_waited_for(driver: WorkerDriver, tmp_path: Path) -> None:
    pid = driver.made("a", calls.leave_thread, str(tmp_path / "left"))
    assert (tmp_path / "left").read_text() == "joined"
    assert driver.made("b", os.getpid) != pid


def test_a_child_that_is_left_is_ended(driver: WorkerDriver) -> None:
    pid, child = driver.made("a", calls.leave_child)
    until(lambda: gone(child), "the child is gone")
    assert driver.made("b", os.getpid) != pid


def test_a_daemon_that_is_left_is_ended(driver: WorkerDriver) -> None:
    daemon = driver.made("a", calls.leave_daemon)
    until(lambda: gone(daemon), "the daemon is gone")
    assert driver.made("b", operator.add, 1, 2) == 3


def test_a_call_that_forks_and_comes_back_twice_is_told_once(driver: WorkerDriver) -> None:
    assert driver.made("a", calls.return_twice) == "once"
    assert driver.made("b", operator.add, 1, 2) == 3


def test_a_call_that_closes_all_files_is_told(driver: WorkerDriver) -> None:
    pid = driver.made("a", calls.close_all)
    assert driver.made("b", os.getpid) != pid


FEWER = 500, resource.getrlimit(resource.RLIMIT_NOFILE)[1]


@pytest.mark.parametrize("call", [(os.nice, 1), (resource.setrlimit, resource.RLIMIT_NOFILE, FEWER)])
def test_what_cannot_be_raised_again_is_not_for_the_next(driver: WorkerDriver, call: Any) -> None:
    pid = driver.made("a", os.getpid)
    driver.made("b", *call)
    assert driver.ended["b"]["pid"] == pid
    assert driver.made("c", os.getpid) != pid


def test_a_stream_that_is_closed_is_not_for_the_next(driver: WorkerDriver) -> None:
    driver.made("a", calls.close_stdout)
    driver.made("b", calls.speak)
    assert sorted(driver.text("b").split()) == ["out", "raw"]


@pytest.mark.parametrize(("later", "goes_on"), [(2, True), (2 + zygote_worker.GROWTH, False)])
def test_a_process_that_has_grown_makes_no_more_calls(
    monkeypatch: pytest.MonkeyPatch, later: int, goes_on: bool
) -> None:
    memory = iter([1, 1 + later])
    monkeypatch.setattr(zygote_worker, "resident_memory", lambda: 1 + later)
    monkeypatch.setattr(zygote_worker, "peak_memory", lambda: next(memory))
    monkeypatch.setattr(zygote_worker, "has_children", lambda: False)
    monkeypatch.setattr(zygote_worker, "thread_count", lambda: 0)
    monkeypatch.setattr(zygote_worker.Slate, "has_streams", lambda self: True)
    one = zygote_worker.Worker((0, 0, 0), 1000, None, zygote_child, memoryview(b""), "host")
    assert [one._can_go_on(), one._can_go_on()] == [True, goes_on]


def test_what_python_does_at_its_end_is_done_at_the_end_of_the_process(
    driver: WorkerDriver, tmp_path: Path
) -> None:
    driver.made("a", calls.at_exit, str(tmp_path / "left"), recycle=1)
    assert (tmp_path / "left").read_text() == "left"
    assert (tmp_path / "left.thread").read_text() == "joined"


def test_an_idle_process_goes_with_its_zygote(tmp_path: Path) -> None:
    with running_keeper(tmp_path, "--zygote-idle", "0.2", driven=WorkerDriver) as driver:
        assert isinstance(driver, WorkerDriver)
        pid = driver.made("a", os.getpid)
        until(lambda: gone(pid), "it is ended")
        assert driver.made("b", os.getpid) != pid


# --- cancelled, overdue -------------------------------------------------------------------------


def test_term_lets_a_call_clean_up(driver: WorkerDriver, tmp_path: Path) -> None:
    pid = driver.made("a", os.getpid)
    driver.call("b", calls.clean_up, str(tmp_path / "cleaned"))
    written(driver, "b", "ready\n")
    driver.kill("b")
    event = driver.end_of("b")
    assert (event["code"], event["cause"], event["pid"]) == (-signal.SIGTERM, "cancel", pid)
    assert (tmp_path / "cleaned").read_text() == "cleaned"
    assert driver.made("c", os.getpid) != pid


@pytest.mark.parametrize("cause", ["cancel", "walltime"])
def test_a_call_that_ignores_term_is_killed(driver: WorkerDriver, cause: str) -> None:
    driver.made("a", os.getpid, walltime=100.0)
    driver.call("b", calls.ignore_term, grace=0.1, walltime=3 if cause == "walltime" else None)
    if cause == "cancel":
        written(driver, "b", "ready\n")
        driver.kill("b", grace=0.1)
    event = driver.end_of("b")
    assert (event["code"], event["cause"]) == (-signal.SIGKILL, cause)
    assert driver.made("c", operator.add, 1, 2) == 3


def test_a_call_that_waits_for_its_process_can_be_cancelled(driver: WorkerDriver, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "worker_gate.py").write_text(f"open({str(tmp_path / 'gate')!r}).read()\n")
    more: dict[str, Any] = {"preload": ["worker_gate"], "path": [str(tmp_path), TESTS, *sys.path]}
    for job in "ab":
        driver.call(job, calls.mark, str(tmp_path / "marks"), **more)
    driver.kill("a")
    assert driver.end_of("a")["cause"] == "cancel"
    (tmp_path / "gate").write_text("")
    driver.end_of("b")
    assert driver.made("c", calls.mark, str(tmp_path / "marks"), **more)
    assert (tmp_path / "marks").read_text().split() == [str(driver.value(job)) for job in "bc"]


@pytest.mark.parametrize("seed", range(3))
def test_cancels_at_any_moment_end_that_call_alone(driver: WorkerDriver, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    jobs = [f"j{number}" for number in range(60)]
    cancelled = set()
    for job in jobs:
        driver.call(job, calls.mark, str(tmp_path / job), chance.random() * 0.005)
        if chance.random() < 0.4:
            for _ in range(chance.randrange(8)):
                driver.pump(0.001)
            driver.kill(job)
            cancelled.add(job)
        if chance.random() < 0.2:
            driver.end_of(job)
    driver.end_of(*jobs)
    for job in jobs:
        event, marks = driver.ended[job], marks_in(tmp_path / job)
        assert job in cancelled or event["code"] == 0, event
        assert len(marks) <= 1
        assert event["code"] or marks == [str(event["pid"])]


def test_a_process_that_was_paused_makes_no_more_calls(driver: WorkerDriver) -> None:
    """It may have returned before it was stopped: then nobody would have it go on."""
    fifo = driver.fifo()
    driver.call("a", calls.read_line, fifo)
    pid = driver.start_of("a")
    driver.send(op="pause", id="a", attempt=1)
    until(lambda: (process := read_process(pid)) is not None and process.state == b"T", "it is stopped")
    os.write(driver.held[0], b"go\n")
    driver.send(op="resume", id="a", attempt=1)
    assert driver.end_of("a")["code"] == 0
    assert driver.made("b", os.getpid) != pid


# --- killed -------------------------------------------------------------------------------------


def marks_in(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def slay(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_a_killed_process_takes_its_call_alone(driver: WorkerDriver, tmp_path: Path) -> None:
    pid = driver.made("a", os.getpid)
    driver.call("b", calls.die_once, str(tmp_path / "marks"))
    event = driver.end_of("b")
    assert (event["code"], event["cause"], event["pid"]) == (-signal.SIGKILL, None, pid)
    assert driver.made("c", os.getpid) != pid
    assert len(marks_in(tmp_path / "marks")) == 1


def test_a_call_that_was_sent_to_a_dead_process_goes_to_another(driver: WorkerDriver, tmp_path: Path) -> None:
    """It was stopped, so that it had not read the call: that is run, and once."""
    pid = driver.made("a", os.getpid)
    os.kill(pid, signal.SIGSTOP)
    driver.call("b", calls.mark, str(tmp_path / "marks"))
    assert driver.start_of("b") == pid
    slay(pid)
    assert driver.end_of("b")["code"] == 0
    assert marks_in(tmp_path / "marks") == [str(driver.value("b"))] != [str(pid)]
    run = driver.ended["b"]
    assert run["pid"] == driver.value("b")


def test_a_cancelled_call_that_no_process_has_read_is_not_run(driver: WorkerDriver, tmp_path: Path) -> None:
    pid = driver.made("a", os.getpid)
    os.kill(pid, signal.SIGSTOP)
    driver.call("b", calls.mark, str(tmp_path / "marks"))
    driver.start_of("b")
    driver.kill("b", grace=0.0)
    assert driver.end_of("b")["cause"] == "cancel"
    assert driver.made("c", os.getpid) != pid
    assert not marks_in(tmp_path / "marks")


def test_a_call_survives_its_zygote(driver: WorkerDriver) -> None:
    fifo = driver.fifo()
    driver.call("a", calls.read_line, fifo)
    pid = driver.start_of("a")
    (zygote,) = driver.zygotes()
    slay(zygote)
    until(lambda: driver.zygotes() != [zygote], "it is gone")
    assert driver.made("b", os.getpid) != pid
    os.write(driver.held[0], b"go\n")
    assert driver.end_of("a")["code"] == 0
    assert (driver.ended["a"]["pid"], driver.value("a")) == (pid, "go\n")
    until(lambda: gone(pid), "it ends once it has nothing to do")


@pytest.mark.parametrize("seed", range(4))
def test_each_call_runs_once_whoever_is_killed(driver: WorkerDriver, tmp_path: Path, seed: int) -> None:
    """Zygotes and workers: one that may have begun is not run again, and no other is lost."""
    chance = random.Random(seed)
    jobs = [f"j{number}" for number in range(60)]
    kills = 0
    for job in jobs:
        driver.call(job, calls.mark, str(tmp_path / job), chance.random() * 0.01)
        if chance.random() < 0.3:
            for _ in range(chance.randrange(20)):
                driver.pump(0.001)
            for pid in (driver.zygotes, driver.workers)[chance.randrange(2)]():
                slay(pid)
                kills += 1
        if chance.random() < 0.1:
            driver.end_of(job)
    driver.end_of(*jobs)
    assert kills > 5
    for job in jobs:
        event, marks = driver.ended[job], marks_in(tmp_path / job)
        assert event["code"] in (0, -signal.SIGKILL), str(event) + driver.errors()
        assert len(marks) <= 1, job
        assert event["code"] or marks == [str(driver.value(job))], job


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ({"python": "/no/such/python"}, 127, "'/no/such/python' is not there"),
        ({"python": "/bin/false"}, 126, "/bin/false ended with exit code 1 before it could run calls"),
        ({"preload": ["zygote_broken"]}, 126, "'zygote_broken' cannot be imported by"),
        ({"cwd": b"/no/such"}, 126, "its directory '/no/such' is not there"),
    ],
)
def test_what_cannot_start_says_why(driver: WorkerDriver, more: dict[str, Any], code: int, said: str) -> None:
    driver.assert_cannot_start(code, said, **more)
    assert driver.made("c", operator.add, 1, 2) == 3


def test_nothing_is_left_of_a_keeper_that_is_killed(driver: WorkerDriver, tmp_path: Path) -> None:
    idle = driver.made("a", os.getpid)
    driver.call("b", calls.ignore_term)
    written(driver, "b", "ready\n")
    driver.call("c", operator.add, 1, 2)
    driver.end_of("c")
    driver.kill_keeper()
    log = driver.log()
    assert list(log.running) == ["b"]
    assert kill_leftovers(log, driver.state) == []
    assert not driver.marked()
    assert gone(idle)


def test_a_supervisor_that_comes_anew_is_told_all(driver: WorkerDriver) -> None:
    fifo = driver.fifo()
    driver.made("a", os.getpid)
    driver.call("b", calls.read_line, fifo)
    driver.start_of("b")
    driver.connection.close()
    os.write(driver.held[0], b"go\n")
    until(lambda: "b" in driver.log().ended, "its end is logged")
    ended = driver.log().ended["b"]
    assert pickle.loads(pickle.loads(ended["report"])["value"]) == "go\n"
    driver.connect()
    assert driver.made("c", os.getpid) == ended["pid"]
