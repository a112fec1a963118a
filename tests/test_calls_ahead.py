"""Short calls, of which workers have many at a time: what they have not begun is taken back."""

from __future__ import annotations

import functools
import operator
import os
import pickle
import random
import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zygote_calls as calls
from keeper_driver import KeeperDriver, running_keeper, until

from anyjob.builtin.local.keeper.job import Job
from anyjob.builtin.local.keeper.log import worker_log
from anyjob.builtin.local.keeper.log.lines import ReplayedLog, replay
from anyjob.builtin.local.keeper.slots import Slots
from anyjob.builtin.local.process_table import read_process
from anyjob.builtin.local.supervisor.keepers.dead_keeper import kill_leftovers

CAPACITY = 2
PROGRAM = """
import sys
from anyjob.builtin.local.keeper.launch import worker_pool, worker_process
from anyjob.builtin.local.keeper.main import main

worker_process.AHEAD = 60.0
sys.exit(main())
"""


class Driver(KeeperDriver):
    """Its keeper has workers have as many calls as may be, however long these take on a busy machine."""

    program = ("-c", PROGRAM)


class Unseen(Driver):
    """Its keeper does not look by itself at what its workers do."""

    program = ("-c", PROGRAM.replace("worker_process.AHEAD", "worker_pool.LOOK = worker_process.AHEAD"))


def _is_gone(pid: int) -> bool:
    return read_process(pid) is None


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    with running_keeper(tmp_path, driven=Driver) as one:
        assert isinstance(one, Driver)
        yield one


def submit(driver: KeeperDriver, job: str, fn: Any, *args: Any, **more: Any) -> None:
    driver.call(job, fn, *args, **{"recycle": 10_000, "queue": 1, "capacity": CAPACITY, **more})


def submit_many(driver: KeeperDriver, where: Path, name: str, count: int, **more: Any) -> list[str]:
    jobs = [f"{name}{number}" for number in range(count)]
    for job in jobs:
        submit(driver, job, calls.mark, str(where / job), **more)
    return jobs


def marks_in(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def warm_up(driver: KeeperDriver, where: Path, **more: Any) -> None:
    """Have the workers be known to make short calls."""
    driver.end_of(*submit_many(driver, where, "warm", 60, **more))


def slay(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_nobody_waits_behind_a_long_call_while_a_process_is_idle(driver: Driver, tmp_path: Path) -> None:
    warm_up(driver, tmp_path)
    gate = driver.fifo()
    before = submit_many(driver, tmp_path, "before", 10)
    submit(driver, "long", calls.read_line, gate)
    behind = submit_many(driver, tmp_path, "behind", 80)
    driver.end_of(*before, *behind)
    assert "long" not in driver.ended
    os.write(driver.held[-1], b"go\n")
    assert driver.end_of("long")["code"] == 0
    assert {event["code"] for event in driver.ended.values()} == {0}
    assert all(len(marks_in(tmp_path / job)) == 1 for job in (*before, *behind))


def test_those_behind_one_that_waits_for_others_run_meanwhile(driver: Driver, tmp_path: Path) -> None:
    warm_up(driver, tmp_path, capacity=1)
    gate = driver.fifo()
    submit(driver, "parent", calls.read_line, gate, capacity=1)
    child = submit_many(driver, tmp_path, "child", 20, capacity=1)
    driver.start_of("parent")
    driver.send(op="lend", id="parent", attempt=1)
    driver.end_of(*child)
    driver.send(op="take_back", id="parent", attempt=1)
    os.write(driver.held[-1], b"go\n")
    assert driver.end_of("parent")["code"] == 0


def test_what_has_not_begun_is_forgotten_with_the_supervisor(driver: Driver, tmp_path: Path) -> None:
    warm_up(driver, tmp_path, capacity=1)
    gate = driver.fifo()
    submit(driver, "long", calls.read_line, gate, capacity=1)
    behind = submit_many(driver, tmp_path, "behind", 40, capacity=1)
    driver.send(op="ping")
    driver.wait(lambda: any(other["op"] == "pong" for other in driver.others), "it has read all of them")
    driver.connection.close()
    driver.connect()
    log = replay((driver.logs / "keeper.log").read_bytes()[: driver.hello["offset"]])
    assert set(log.running) == {"long"}
    os.write(driver.held[-1], b"go\n")
    driver.end_of("long")
    assert not any(marks_in(tmp_path / job) for job in behind)
    submit_many(driver, tmp_path, "behind", 40, capacity=1)
    driver.end_of(*behind)
    assert all(len(marks_in(tmp_path / job)) == 1 for job in behind)


def test_who_comes_next_is_told_what_runs_though_the_log_has_no_room_for_it(tmp_path: Path) -> None:
    """Else it would send the call again once that has ended."""
    with running_keeper(tmp_path, driven=Unseen) as driver:
        assert isinstance(driver, Unseen)
        _is_told_what_runs(driver, tmp_path)


def _is_told_what_runs(driver: Driver, tmp_path: Path) -> None:
    warm_up(driver, tmp_path, capacity=1)
    gate = driver.fifo()
    submit(driver, "long", calls.read_line, gate, capacity=1)
    driver.send(op="ping")
    driver.wait(lambda: any(other["op"] == "pong" for other in driver.others), "it has been started")
    full = (driver.logs / "keeper.log").stat().st_size
    before = resource.prlimit(driver.keeper.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    driver.connection.close()
    driver.connect()
    assert "long" not in (driver.logs / "keeper.log").read_text()
    assert set(replay(driver.hello["unwritten"]).running) == {"long"}
    os.write(driver.held[-1], b"go\n")
    assert driver.end_of("long")["code"] == 0
    resource.prlimit(driver.keeper.pid, resource.RLIMIT_FSIZE, before)
    until(lambda: "long" in driver.log().ended, "its end is logged")
    assert not driver.log().running


@pytest.mark.parametrize("seed", range(4))
def test_each_runs_once_whatever_is_done_with_the_others(driver: Driver, tmp_path: Path, seed: int) -> None:
    """Cancelled, taken back, paused, killed with their worker or zygote: at any moment."""
    chance = random.Random(seed)
    warm_up(driver, tmp_path)
    jobs: list[str] = []
    cancelled, again = set(), set()
    for turn in range(30):
        some = submit_many(driver, tmp_path, f"t{turn}x", 40)
        jobs += some
        for _ in range(chance.randrange(8)):
            driver.pump(0.001)
        job = chance.choice(jobs[-80:])
        match chance.choice(["cancel", "withdraw", "pause", "kill", "lend", "compact", "nothing"]):
            case "cancel":
                cancelled |= {*some[::3]}
                for each in some[::3]:
                    driver.kill(each, grace=chance.choice((0.0, 5.0)))
            case "withdraw":
                again |= {*some[::2]}
                for each in some[::2]:
                    driver.send(op="withdraw", id=each, attempt=1)
            case "pause":
                driver.send(op="pause", id=job, attempt=1)
                driver.pump(0.001)
                driver.send(op="resume", id=job, attempt=1)
            case "kill":
                for pid in (driver.zygotes, driver.workers)[chance.randrange(2)]():
                    slay(pid)
            case "lend":
                driver.send(op="lend", id=job, attempt=1)
                driver.send(op="take_back", id=job, attempt=1)
            case "compact":
                driver.send(op="compact")

    def back() -> set[str]:
        return {other["id"] for other in driver.others if other["op"] == "withdrawn"}

    driver.wait(lambda: all(job in driver.ended or job in back() for job in jobs), "all end")
    assert back() <= again
    for job in jobs:
        marks = marks_in(tmp_path / job)
        if job in back():
            assert not marks
            assert job not in driver.ended
            continue
        event = driver.ended[job]
        assert len(marks) <= 1, job
        if event["code"] == 0:
            assert marks == [str(driver.value(job))], job
        else:
            assert job in cancelled or event["code"] == -signal.SIGKILL, f"{event} {driver.errors()}"


@pytest.mark.parametrize("seed", range(6))
def test_a_dead_keeper_leaves_word_of_all_that_has_begun(driver: Driver, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    warm_up(driver, tmp_path)
    jobs = submit_many(driver, tmp_path, "job", 400)
    enough = chance.randrange(350)
    driver.wait(lambda: len(driver.ended) >= 60 + enough, "some have ended")
    driver.kill_keeper()
    log = driver.log()
    assert not kill_leftovers(log, driver.state)
    worker_log.add_left(log, worker_log.left_in(worker_log.directory(driver.logs / "keeper.log")))
    for job in jobs:
        marks, end = marks_in(tmp_path / job), log.ended.get(job)
        assert len(marks) <= 1
        assert not marks or end is not None or job in log.running
        assert not (end is not None and job in log.running)
        if end is not None:
            assert pickle.loads(pickle.loads(end["report"])["value"]) == int(marks[0])
    assert set(driver.ended) <= set(log.ended)
    assert driver.launch().wait(60) == 0  # it starts nothing before somebody has accounted for that


def test_a_call_without_room_for_its_log_waits_for_some(driver: Driver, tmp_path: Path) -> None:
    """A worker that cannot write that a call begins does not begin it."""
    driver.call("a", operator.add, 1, 2, recycle=1000)
    driver.end_of("a")
    (pid,) = driver.workers()
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    driver.call("b", calls.mark, str(tmp_path / "b"), recycle=1000)
    driver.start_of("b")
    assert not marks_in(tmp_path / "b")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert driver.end_of("b")["code"] == 0
    assert marks_in(tmp_path / "b") == [str(pid)]


def test_a_call_ahead_whose_directory_cannot_be_made_fails_alone(driver: Driver, tmp_path: Path) -> None:
    """Its worker is to make it, and ends where it cannot; the keeper, which tries then, says why."""
    warm_up(driver, tmp_path)
    (driver.state / "spool" / "b30").symlink_to(tmp_path)
    jobs = submit_many(driver, tmp_path, "b", 40)
    driver.end_of(*jobs)
    assert driver.ended["b30"]["cause"] == "start-failed"
    assert "is a link or somebody else's" in driver.ended["b30"]["message"]
    made = {job: len(marks_in(tmp_path / job)) for job in jobs}
    assert made == {job: int(job != "b30") for job in jobs}


def test_a_call_ahead_finds_its_directory_without_what_an_earlier_attempt_has_left(
    driver: Driver, tmp_path: Path
) -> None:
    warm_up(driver, tmp_path)
    for job in ("b30", "b31"):
        (driver.state / "spool" / job).mkdir(0o700)
    left = driver.state / "spool" / "b31" / "outcome.pkl"
    left.write_bytes(b"of another attempt")
    jobs = submit_many(driver, tmp_path, "b", 40)
    driver.end_of(*jobs)
    assert not left.exists()
    assert {job: (driver.ended[job]["code"], len(marks_in(tmp_path / job))) for job in jobs} == dict.fromkeys(
        jobs, (0, 1)
    )


def test_a_directory_that_a_worker_makes_is_private(driver: Driver, tmp_path: Path) -> None:
    """Whatever umask the call before it has left."""
    warm_up(driver, tmp_path)
    jobs = [f"b{number}" for number in range(20)]
    for job in jobs:
        submit(driver, job, calls.unmask_and_speak)
    driver.end_of(*jobs)
    modes = {(driver.state / "spool" / job).stat().st_mode & 0o777 for job in jobs}
    assert modes == {0o700}


def directories(driver: Driver) -> set[str]:
    return {path.name for path in (driver.state / "spool").iterdir()}


def test_a_directory_in_which_nothing_is_serves_the_next_call(driver: Driver, tmp_path: Path) -> None:
    """Each finds its own, while it runs; there are not more in the end than calls that ran beside others."""
    warm_up(driver, tmp_path)
    before = directories(driver)
    jobs = [f"b{number}" for number in range(40)]
    for job in jobs:
        submit(driver, job, calls.own_directory)
    driver.end_of(*jobs)
    assert [driver.value(job) for job in jobs] == [(job, ["stderr", "stdout"]) for job in jobs]
    assert len(directories(driver) - before) < 20


def test_what_a_call_leaves_is_not_the_next_ones(driver: Driver, tmp_path: Path) -> None:
    warm_up(driver, tmp_path)
    spool = driver.state / "spool"
    jobs = [f"{fn}-{number}" for number in range(6) for fn in ("speak", "complain", "leave", "link", "quiet")]
    for job in jobs:
        submit(driver, job, calls.leave_something, job.partition("-")[0], job, str(tmp_path / job))
    driver.end_of(*jobs)
    left = {
        path.name: {each.name: each.read_text() for each in path.iterdir()}
        for path in spool.iterdir()
        if path.name in jobs
    }
    empty = {"stdout": "", "stderr": ""}
    for job in jobs:
        match job.partition("-")[0]:
            case "speak":
                assert left[job] == {**empty, "stdout": job}
            case "complain":
                assert left[job] == {**empty, "stderr": job}
            case "leave":
                assert left[job] == {**empty, "mine": job}
            case "link":
                assert left[job] == empty
                assert (tmp_path / job).read_text() == ""
            case _:
                assert left.get(job, empty) == empty


@pytest.mark.parametrize("reaped", [True, False])
def test_what_a_call_has_started_has_not_the_streams_of_the_next(
    driver: Driver, tmp_path: Path, reaped: bool
) -> None:
    """Its child's child, of which its process knows nothing, writes when all of them have ended."""
    warm_up(driver, tmp_path)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    submit(driver, "a", calls.leave_a_writer, str(gate), reaped)
    jobs = [f"b{number}" for number in range(20)]
    for job in jobs:
        submit(driver, job, calls.count)
    driver.end_of("a", *jobs)
    try:
        os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))  # it writes now, unless it was ended by now
        until(lambda: not is_read(gate), "it has written, and has ended")
    except OSError:
        assert not is_read(gate)
    spool = driver.state / "spool"
    written = {job: (spool / job / "stdout").read_text() for job in jobs if (spool / job).exists()}
    assert set(written.values()) <= {""}
    assert (spool / "a").exists()


@pytest.mark.parametrize("fn", [calls.close_descriptor, calls.remove_own_directory])
def test_a_call_that_spoils_its_streams_is_done_and_so_is_the_next(
    driver: Driver, tmp_path: Path, fn: Any
) -> None:
    warm_up(driver, tmp_path)
    jobs = [f"{what}{number}" for number in range(10) for what in "ab"]
    for job in jobs:
        submit(driver, job, fn if job.startswith("a") else calls.own_directory)
    driver.end_of(*jobs)
    assert {job: driver.ended[job]["code"] for job in jobs} == dict.fromkeys(jobs, 0)
    found = {job: driver.value(job)[0] for job in jobs if job.startswith("b")}
    assert all(name == job for job, name in found.items())


def is_read(fifo: Path) -> bool:
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def test_a_call_whose_last_directory_was_removed_makes_one(driver: Driver, tmp_path: Path) -> None:
    warm_up(driver, tmp_path)
    for number in range(10):
        submit(driver, f"b{number}", calls.own_directory)
        driver.end_of(f"b{number}")
        shutil.rmtree(driver.state / "spool" / f"b{number}", ignore_errors=True)
    jobs = [f"c{number}" for number in range(20)]
    for job in jobs:
        submit(driver, job, calls.own_directory)
    driver.end_of(*jobs)
    assert {driver.value(job)[0] for job in jobs} == set(jobs)


def test_workers_leave_no_logs(driver: Driver, tmp_path: Path) -> None:
    warm_up(driver, tmp_path, recycle=20)
    for pid in driver.workers():
        slay(pid)
        until(functools.partial(_is_gone, pid), "it is reaped")
    until(lambda: not worker_log.left_in(str(driver.logs / "workers")), "they are removed")


# --- what is read of their logs -----------------------------------------------------------------


def frame(*fields: Any) -> bytes:
    content = pickle.dumps(fields, 4)
    return len(content).to_bytes(4, "little") + content


USAGE = {"cpu_time": 0.5, "peak_memory": 7, "read_bytes": None, "written_bytes": 2}
BEGUN, ENDED = frame("begun", "a", 2, 10.0), frame("ended", 0, b"report", USAGE, 11.0, 0.9)


def added(path: Path, data: bytes, log: ReplayedLog | None = None) -> ReplayedLog:
    path.write_bytes(data)
    log = log or ReplayedLog()
    worker_log.add_left(log, [str(path)])
    return log


def test_what_has_begun_may_have_run(tmp_path: Path) -> None:
    log = added(tmp_path / "1", BEGUN)
    assert not log.ended
    assert (log.running["a"]["attempt"], log.running["a"]["time"]) == (2, 10.0)


def test_what_has_ended_is_not_lost(tmp_path: Path) -> None:
    log = added(tmp_path / "1", BEGUN + ENDED + frame("begun", "b", 1, 12.0))
    assert set(log.running) == {"b"}
    end = log.ended["a"]
    assert (end["attempt"], end["code"], end["report"]) == (2, 0, b"report")
    assert (end["started"], end["finished"], end["peak_memory"], end["cause"]) == (10.0, 11.0, 7, None)


@pytest.mark.parametrize("cut", [1, 3, 7, len(ENDED) - 1])
def test_a_torn_end_is_none(tmp_path: Path, cut: int) -> None:
    assert set(added(tmp_path / "1", BEGUN + ENDED[:-cut]).running) == {"a"}
    assert not added(tmp_path / "1", BEGUN[: -min(cut, len(BEGUN) - 1)]).running


def test_what_is_no_record_is_passed_over_with_what_follows(tmp_path: Path) -> None:
    damaged = b"\x03\0\0\0abc"
    assert set(added(tmp_path / "1", BEGUN + damaged + ENDED).running) == {"a"}


def test_the_keeper_knows_better(tmp_path: Path) -> None:
    ended = replay(b"E a 2 code=-9 cause=cancel\n")
    assert added(tmp_path / "1", BEGUN + ENDED, ended).ended["a"]["code"] == -9
    later = replay(b"S a 3 1.0\n")
    log = added(tmp_path / "1", BEGUN + ENDED, later)
    assert log.running["a"]["attempt"] == 3
    assert not log.ended
    earlier = replay(b"E a 1 code=1\n")
    assert set(added(tmp_path / "1", BEGUN, earlier).running) == {"a"}


# --- slots --------------------------------------------------------------------------------------


def job(number: int, slots: int = 1) -> Job:
    order = {"id": f"j{number}", "attempt": 1, "spool": "/s", "work": {"kind": "command"}}
    return Job({**order, "queue": 1, "slots": slots, "capacity": 2}, b"/state")


def test_the_next_ones_have_the_slots_of_one_after_the_other() -> None:
    table = Slots()
    one, two, three, four, five = (job(number) for number in range(5))
    assert table.acquire(one)
    assert table.acquire(two)
    assert not any(table.acquire(each) for each in (three, four, five))
    assert (table.waiting_behind(one), table.next_after(one)) == (3, three)
    table.promise(three)
    assert table.next_after(two) is four
    table.promise(four)
    table.hand_over(one, three)
    table.wait_again([four])
    assert table.next_after(two) is four
    assert table.admit(1) == []
    assert table.release(two) == [four]
    assert table.release(three) == [five]


def test_slots_are_not_handed_on_where_there_are_too_few() -> None:
    table = Slots()
    one, two, large, small = job(1), job(2), job(3, slots=2), job(4)
    for each in (one, two):
        assert table.acquire(each)
    assert not table.acquire(large)
    assert table.next_after(one) is None  # it is not the same number
    assert table.release(large) == []
    assert not table.acquire(small)
    assert table.lend(one) == [small]
    assert not table.acquire(job(5))
    assert table.next_after(one) is None  # it is lent
    table.take_back(one)
    assert table.next_after(two) is None  # three have slots by now
