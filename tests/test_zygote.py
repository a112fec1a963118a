"""Calls through zygotes, as processes, driven over the keeper's socket."""

from __future__ import annotations

import operator
import os
import pickle
import random
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import zygote_calls as calls
from keeper_driver import TESTS, KeeperDriver, running_keeper, until

from anyjob.builtin.local import process_table
from anyjob.builtin.local.process_table import read_process
from anyjob.builtin.local.supervisor.keepers.dead_keeper import kill_leftovers


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[KeeperDriver]:
    with running_keeper(tmp_path) as one:
        yield one


def written(driver: KeeperDriver, job: str, text: str) -> None:
    path = driver.state / "spool" / job / "stdout"
    until(lambda: path.exists() and path.read_text() == text, f"{job} writes {text!r}")


def slay(pid: int) -> None:
    """Kill a process that may have ended meanwhile."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


# --- what comes back --------------------------------------------------------------------------


def test_a_value_comes_back(driver: KeeperDriver) -> None:
    driver.call("a", operator.add, 1, 2)
    event = driver.end_of("a")
    assert (event["code"], event["cause"]) == (0, None)
    assert driver.value("a") == 3
    assert driver.said("a")["host"] == os.uname().nodename
    assert event["peak_memory"] > 1_000_000
    assert 0 < event["cpu_time"] < 20
    assert event["written_bytes"] > 0
    assert driver.started["a"]["pid"] == event["pid"]
    assert {p.name for p in (driver.state / "spool" / "a").iterdir()} == {
        "claim.1.1",
        "outcome.pkl",
        "stderr",
        "stdout",
    }


def test_an_exception_comes_back(driver: KeeperDriver) -> None:
    driver.call("a", operator.truediv, 1, 0)
    assert driver.end_of("a")["code"] == 1
    said = driver.said("a")
    assert isinstance(pickle.loads(said["exception"]), ZeroDivisionError)
    assert "ZeroDivisionError" in driver.text("a", "stderr")


@pytest.mark.parametrize(("code", "exit_code"), [(0, 0), (7, 7), ("why", 1), (None, 0)])
def test_sys_exit_is_the_exit_code(driver: KeeperDriver, code: Any, exit_code: int) -> None:
    driver.call("a", sys.exit, code)
    assert driver.end_of("a")["code"] == exit_code
    assert driver.said("a")["reason"] == "exit-code"


def test_what_kills_its_process_fails_alone(driver: KeeperDriver) -> None:
    driver.call("a", os._exit, 9)
    driver.call("b", os.abort)
    driver.call("c", operator.add, 1, 1)
    driver.end_of("a", "b", "c")
    assert [driver.ended[job]["code"] for job in "abc"] == [9, -signal.SIGABRT, 0]
    assert not (driver.state / "spool" / "a" / "outcome.pkl").exists()


def test_a_value_that_cannot_be_pickled_is_a_failure(driver: KeeperDriver) -> None:
    driver.call("a", calls.draw)
    driver.call("b", iter, [])
    driver.call("c", sys._getframe)
    assert driver.end_of("c")["code"] == 1
    assert "cannot be pickled" in driver.said("c")["message"]


def test_functions_by_value_payloads_from_files_and_names(driver: KeeperDriver, tmp_path: Path) -> None:
    path = tmp_path / "payload"
    path.write_bytes(cloudpickle.dumps((lambda x: x + 1, (1,), {})))
    common = {"kind": "call", "python": sys.executable, "path": [TESTS, *sys.path], "preload": []}
    driver.order("a", {**common, "shared": None, "payload": None, "payload_file": str(path)})
    named = pickle.dumps(("operator:add", (1, 2), {}))
    driver.order("b", {**common, "shared": None, "payload": named, "payload_file": None})
    driver.order("c", {**common, "shared": None, "payload": b"junk", "payload_file": None})
    driver.end_of("a", "b", "c")
    assert (driver.value("a"), driver.value("b")) == (2, 3)
    assert driver.said("c")["reason"] == "exception"
    (tmp_path / "link").symlink_to(path)
    driver.order("d", {**common, "shared": None, "payload": None, "payload_file": str(tmp_path / "link")})
    assert driver.end_of("d")["code"] == 1


def test_output_goes_to_the_spool(driver: KeeperDriver) -> None:
    driver.call("a", calls.speak)
    driver.end_of("a")
    assert sorted(driver.text("a").split()) == ["out", "raw"]
    assert driver.text("a", "stderr") == "err\n"


# --- where it runs ----------------------------------------------------------------------------


def test_a_call_has_the_surroundings_of_who_submitted_it(driver: KeeperDriver, tmp_path: Path) -> None:
    environment = driver.environment(PATH="/bin", MINE=b"a \xff")
    driver.call("a", calls.surroundings, environment=environment, cwd=os.fsencode(tmp_path), extra={"X": "y"})
    driver.end_of("a")
    found = driver.value("a")
    assert (found["cwd"], found["argv"], found["path"][0]) == (str(tmp_path), [""], TESTS)
    assert (found["session"], found["main"], found["term"]) == (True, None, True)
    expected = {
        "PATH": "/bin",
        "MINE": os.fsdecode(b"a \xff"),
        "X": "y",
        "ANYJOB_JOB_ID": "a",
        "ANYJOB_ATTEMPT": "1",
        "ANYJOB_SPOOL": str(driver.state / "spool" / "a"),
        "ANYJOB_KEEPER": str(driver.state),
    }
    environ = {name: value for name, value in found["environ"].items() if not name.startswith("LC_")}
    assert environ == expected
    assert found["fds"][:-1] == ["0", "1", "2"]  # and the one that reads them
    mark = process_table.read_mark(found["carried"])
    assert mark is not None
    assert (mark.job_id, mark.is_zygote) == ("a", False)


def test_two_interpreters_at_once(driver: KeeperDriver, tmp_path: Path) -> None:
    venv.create(tmp_path / "other", with_pip=False, symlinks=True)
    other = str(tmp_path / "other" / "bin" / "python")
    driver.call("a", calls.surroundings)
    driver.call("b", calls.surroundings, python=other, path=[TESTS, *sys.path])
    driver.end_of("a", "b")
    assert driver.value("a")["executable"] == sys.executable
    assert driver.value("b")["executable"] == other
    assert len(driver.zygotes()) == 2


def test_calls_with_the_same_environment_share_a_zygote(driver: KeeperDriver) -> None:
    """Also where jobs have submitted them, which differ in their marks."""
    known = {"PATH": "/bin", "MINE": "1"}
    one = driver.environment(**known, ANYJOB_JOB_ID="one")
    other = driver.environment(**dict(reversed(known.items())), ANYJOB_JOB_ID="other")
    third = driver.environment(**{**known, "MINE": "2"})
    driver.call("a", operator.add, 1, 2, environment=one)
    driver.call("b", operator.add, 1, 2, environment=other)
    driver.end_of("a", "b")
    assert len(driver.zygotes()) == 1
    driver.call("c", operator.add, 1, 2, environment=third)
    driver.end_of("c")
    assert len(driver.zygotes()) == 2


def test_nothing_leaks_from_call_to_call(driver: KeeperDriver) -> None:
    for job in "abc":
        driver.call(job, calls.count, preload=["zygote_calls"])
    driver.end_of("a", "b", "c")
    assert [driver.value(job) for job in "abc"] == [1, 1, 1]
    assert len(driver.zygotes()) == 1
    for job in "de":
        driver.call(job, calls.draw, preload=["random"])
    driver.end_of("d", "e")
    assert driver.value("d") != driver.value("e")


def test_a_call_that_forks_and_comes_back_twice_is_told_once(driver: KeeperDriver) -> None:
    driver.call("a", calls.return_twice)
    assert driver.end_of("a")["code"] == 0
    assert driver.value("a") == "once"


def test_what_python_does_at_its_end_is_done(driver: KeeperDriver, tmp_path: Path) -> None:
    driver.call("a", calls.at_exit, str(tmp_path / "left"))
    driver.end_of("a")
    assert (tmp_path / "left").read_text() == "left"
    assert (tmp_path / "left.thread").read_text() == "joined"


# --- zygotes that do not start ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ({"python": "/no/such/python"}, 127, "'/no/such/python' is not there"),
        ({"python": "/bin/false"}, 126, "/bin/false ended with exit code 1 before it could run calls"),
        ({"python": "/bin/cat"}, 126, "invalid option"),
        ({"preload": ["zygote_broken"]}, 126, "'zygote_broken' cannot be imported by"),
        ({"preload": ["no_such_module"]}, 126, "No module named 'no_such_module'"),
        ({"preload": ["zygote_threads"]}, 126, "starts threads that go on across a fork"),
        ({"cwd": b"/no/such"}, 126, "its directory '/no/such' is not there"),
    ],
)
def test_a_zygote_that_cannot_start_says_why(
    driver: KeeperDriver, more: dict[str, Any], code: int, said: str
) -> None:
    """psij-python#387: a parent with threads is not forked."""
    driver.assert_cannot_start(code, said, **more)
    driver.call("c", operator.add, 1, 2)
    assert driver.end_of("c")["code"] == 0


# --- ends -------------------------------------------------------------------------------------


def test_term_lets_a_call_clean_up(driver: KeeperDriver, tmp_path: Path) -> None:
    """executorlib#1049: SIGTERM raises in the call, so that ``finally`` runs."""
    driver.call("a", calls.clean_up, str(tmp_path / "cleaned"))
    written(driver, "a", "ready\n")
    driver.kill("a")
    event = driver.end_of("a")
    assert (event["code"], event["cause"]) == (-signal.SIGTERM, "cancel")
    assert (tmp_path / "cleaned").read_text() == "cleaned"
    assert not (driver.state / "spool" / "a" / "outcome.pkl").exists()


@pytest.mark.parametrize("cause", ["cancel", "walltime"])
def test_a_call_that_ignores_term_is_killed(driver: KeeperDriver, cause: str) -> None:
    driver.call("a", calls.ignore_term, grace=0.1, walltime=3 if cause == "walltime" else None)
    if cause == "cancel":
        written(driver, "a", "ready\n")
        driver.kill("a", grace=0.1)
    event = driver.end_of("a")
    assert (event["code"], event["cause"]) == (-signal.SIGKILL, cause)


def test_a_call_that_waits_for_its_zygote_can_be_cancelled(driver: KeeperDriver, tmp_path: Path) -> None:
    """qiskit-jku-provider#26: it has not run, and does not any more."""
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "zygote_gate.py").write_text(f"open({str(tmp_path / 'gate')!r}).read()\n")
    path = [str(tmp_path), TESTS, *sys.path]
    driver.call("a", calls.mark, str(tmp_path / "marks"), preload=["zygote_gate"], path=path)
    driver.call("b", calls.mark, str(tmp_path / "marks"), preload=["zygote_gate"], path=path)
    driver.kill("a")
    assert driver.end_of("a")["cause"] == "cancel"
    (tmp_path / "gate").write_text("")
    driver.end_of("b")
    assert (tmp_path / "marks").read_text() == f"{driver.value('b')}\n"


def test_a_daemon_that_never_execs_is_known_by_its_mark(driver: KeeperDriver) -> None:
    driver.call("a", calls.leave_daemon)
    driver.end_of("a")
    pid = driver.value("a")

    def gone() -> bool:
        process = read_process(pid)
        return process is None or process.state == b"Z"

    until(gone, "the daemon is gone")


# --- zygotes that are killed ------------------------------------------------------------------


def marks(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_a_burst_is_pipelined(driver: KeeperDriver, tmp_path: Path) -> None:
    jobs = [f"j{number}" for number in range(200)]
    for job in jobs:
        driver.call(job, calls.mark, str(tmp_path / "marks"))
    driver.end_of(*jobs)
    assert sorted(marks(tmp_path / "marks")) == sorted(str(driver.value(job)) for job in jobs)
    assert len(driver.zygotes()) == 1


def test_calls_survive_their_zygote(driver: KeeperDriver, tmp_path: Path) -> None:
    driver.call("a", calls.mark, str(tmp_path / "marks"), 600.0)
    pid = driver.start_of("a")
    until(lambda: marks(tmp_path / "marks") == [str(pid)], "it runs")
    (zygote,) = driver.zygotes()
    slay(zygote)
    driver.call("b", operator.add, 1, 2)
    assert driver.end_of("b")["code"] == 0
    assert "a" not in driver.ended
    assert driver.zygotes() not in ([], [zygote])
    driver.kill("a")
    event = driver.end_of("a")
    assert (event["code"], event["pid"]) == (-signal.SIGTERM, pid)


@pytest.mark.parametrize("seed", range(4))
def test_each_call_runs_once_whenever_its_zygote_is_killed(
    driver: KeeperDriver, tmp_path: Path, seed: int
) -> None:
    """executorlib PR#721: killed at many points, nothing is lost and nothing runs twice."""
    chance = random.Random(seed)
    jobs = [f"j{number}" for number in range(60)]
    kills = 0
    for job in jobs:
        (tmp_path / job).mkdir()
        driver.call(job, calls.mark, str(tmp_path / job / "marks"), chance.random() * 0.01)
        if chance.random() < 0.3:
            for _ in range(chance.randrange(150)):
                driver.pump(0.001)
            for zygote in driver.zygotes():
                slay(zygote)
                kills += 1
        if chance.random() < 0.1:
            driver.end_of(job)  # however slow the machine: a call is not sent to ever new zygotes for ever
    driver.end_of(*jobs)
    assert kills > 5
    for job in jobs:
        assert driver.ended[job]["code"] == 0, driver.ended[job]
        assert marks(tmp_path / job / "marks") == [str(driver.value(job))], job


HELD = """
import os, time
def hold(flag):
    try:
        os.mkdir(flag)  # only the first one is held
    except FileExistsError:
        return
    while not os.path.exists({release!r}):
        time.sleep(0.01)
for where in {where!r}:
    os.register_at_fork(**{{"after_in_" + where: lambda flag={flag!r} + where: hold(flag)}})
"""


@pytest.mark.parametrize("where", [["parent"], ["parent", "child"]])
def test_a_zygote_killed_around_a_fork(driver: KeeperDriver, tmp_path: Path, where: list[str]) -> None:
    """executorlib PR#721: a child that has claimed goes on, unreported; one that has not never runs."""
    flag, release = str(tmp_path / "held-"), tmp_path / "release"
    program = HELD.format(flag=flag, release=str(release), where=where)
    (tmp_path / "zygote_held.py").write_text(program)
    path = [str(tmp_path), TESTS, *sys.path]
    gone = tmp_path / "gone"  # what is not held goes on once the zygote is killed, and was seen before
    driver.call("a", calls.mark_once, str(tmp_path / "marks"), gone, preload=["zygote_held"], path=path)
    awaited = [flag + name for name in where]
    awaited += [] if "child" in where else [str(driver.state / "spool" / "a" / "claim.1.1")]
    until(lambda: all(map(os.path.lexists, awaited)), "it is held")
    (zygote,) = driver.zygotes()
    late = [
        process.pid
        for process in process_table.Snapshot().with_descendants([zygote])
        if process.pid != zygote
    ]
    slay(zygote)
    gone.touch()
    assert driver.end_of("a")["code"] == 0
    release.touch()
    until(lambda: all(read_process(pid) is None for pid in late), "the late child is gone")
    assert marks(tmp_path / "marks") == [str(driver.value("a"))]
    assert driver.ended["a"]["pid"] == driver.value("a")
    assert (driver.value("a") in late) == ("child" not in where)


def test_a_zygote_that_is_always_killed_is_given_up(driver: KeeperDriver, tmp_path: Path) -> None:
    (tmp_path / "zygote_dies.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    driver.call("a", operator.add, 1, 2, preload=["zygote_dies"], path=[str(tmp_path), *sys.path])
    event = driver.end_of("a")
    assert event["cause"] == "start-failed"
    assert "25 zygotes were killed" in event["message"]


def test_zygotes_with_nothing_to_do_are_ended(tmp_path: Path) -> None:
    with running_keeper(tmp_path, "--zygote-idle", "0.2") as driver:
        driver.call("a", operator.add, 1, 2)
        driver.end_of("a")
        until(lambda: not driver.zygotes(), "it is ended")
        driver.call("b", operator.add, 1, 2)
        assert driver.end_of("b")["code"] == 0


def test_not_too_many_zygotes_are_kept(tmp_path: Path) -> None:
    with running_keeper(tmp_path, "--zygote-idle", "20") as driver:
        jobs = [f"j{number}" for number in range(10)]
        for job in jobs:
            driver.call(job, operator.add, 1, 2, preload=["operator"] * len(driver.started))
            driver.end_of(job)
            driver.start_of(job)
        assert len(driver.zygotes()) == 10
        until(lambda: len(driver.zygotes()) == 8, "those least used are ended")


def test_a_zygote_goes_when_its_keeper_is_killed(driver: KeeperDriver) -> None:
    driver.call("a", operator.add, 1, 2)
    driver.end_of("a")
    (zygote,) = driver.zygotes()
    driver.kill_keeper()
    until(lambda: read_process(zygote) is None, "the zygote is gone")


def test_it_needs_nothing_of_anyjob() -> None:
    """A zygote runs in the environment of the job, which need not have anyjob."""
    program = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; import runpy;"
    path = Path(process_table.__file__).with_name("zygote") / "main.py"
    program += f"runpy.run_path({str(path)!r}); print('anyjob' in sys.modules, 'cloudpickle' in sys.modules)"
    said = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "False False\n"


@pytest.mark.parametrize("seed", range(3))
def test_all_is_accounted_for_whatever_is_killed(driver: KeeperDriver, tmp_path: Path, seed: int) -> None:
    """executorlib#412: zygotes, jobs, the connection and the keeper are killed; marks tell what ran."""
    chance = random.Random(seed)
    jobs = [f"j{number}" for number in range(50)]
    for job in jobs:
        if chance.random() < 0.5:
            driver.call(job, calls.mark, str(tmp_path / job), chance.random() * 0.02)
        else:
            driver.spawn(job, "/bin/sh", "-c", f"echo $$ >> {tmp_path / job}; sleep 0.01")
        fate = chance.random()
        if fate < 0.1:
            for zygote in driver.zygotes():
                slay(zygote)
        elif fate < 0.2 and driver.started:
            pid = int(chance.choice(list(driver.started.values()))["pid"])
            if pid in driver.marked():
                slay(pid)
        elif fate < 0.3:
            driver.connection.close()
            driver.connect()
        for _ in range(chance.randrange(20)):
            driver.pump(0.001)
    if seed:
        driver.kill_keeper()
        assert kill_leftovers(driver.log(), driver.state) == []
        assert not driver.marked()
    else:
        until(lambda: not driver.log().running, "all have ended")
    log = driver.log()
    assert set(jobs) >= {*log.ended, *log.running}
    assert not set(log.ended) & set(log.running)
    for job in jobs:
        ran = marks(tmp_path / job)
        assert len(ran) <= 1, f"{job} ran twice"
        if job in log.ended and log.ended[job]["code"] == 0:
            assert ran == [str(log.ended[job]["pid"])]
        elif job not in log.running and job not in log.ended:
            assert not ran, f"{job} ran, and the log does not know of it"
