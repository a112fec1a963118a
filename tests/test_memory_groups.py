"""Jobs are held to their memory by cgroups of their own, where these can be made.

Version 1 is tried for real, where root may. Of version 2, which machines that have the other one cannot show,
the files are made here as the kernel's documentation has them: what is written to them, and read. All that
grows here has a limit of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import memory_growers as growers
import pytest
from keeper_driver import TESTS, KeeperDriver, running_keeper, until
from support.cli_program import invoke

from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.keeper.job import Job
from anyjob.builtin.local.keeper.processes import memory_groups, memory_watch
from anyjob.builtin.local.keeper.processes.memory_groups import MemoryGroups, prefix, sweep, told
from anyjob.builtin.local.machine import cgroups
from anyjob.builtin.local.machine.cgroups import Place, find_place, limit_of, processes_in, read
from anyjob.builtin.local.process_table import children

MIB = 1 << 20
GROW = f"import sys; sys.path.insert(0, {TESTS!r}); import memory_growers as growers; "
SESSION = "user.slice/user-1000.slice/user@1000.service/app.slice"


def make_group(root: Path, path: str = "", **files: str) -> Path:
    """Make a group of version 2 with such files; a double underscore in their names is a dot."""
    group = root / path
    group.mkdir(parents=True, exist_ok=True)
    known = {"cgroup.type": "domain", "cgroup.controllers": "cpu memory pids", "cgroup.procs": ""}
    known |= {
        "cgroup.subtree_control": "",
        "memory.max": "max",
        "memory.high": "max",
        "cpu.max": "max 100000",
    }
    for name, text in {**known, **{name.replace("__", "."): text for name, text in files.items()}}.items():
        (group / name).write_text(f"{text}\n")
    return group


# --- where they can be made: version 2, from its documentation ----------------------------------


def test_in_a_session_of_systemd_it_is_beside_our_own_which_has_processes(tmp_path: Path) -> None:
    make_group(tmp_path, SESSION, cgroup__subtree_control="memory pids")
    make_group(tmp_path, f"{SESSION}/run-1.scope", cgroup__procs="4711")
    place = find_place(f"0::/{SESSION}/run-1.scope\n", str(tmp_path))
    assert place is not None
    assert (place.version, place.path, place.is_to_enable) == (2, str(tmp_path / SESSION), False)


def test_one_that_counts_no_memory_yet_is_told_to(tmp_path: Path) -> None:
    group = make_group(tmp_path, SESSION)
    make_group(tmp_path, f"{SESSION}/run-1.scope", cgroup__procs="4711")
    place = find_place(f"0::/{SESSION}/run-1.scope\n", str(tmp_path))
    assert place is not None
    assert place.is_to_enable
    place.enable()
    assert (group / "cgroup.subtree_control").read_text().startswith("+memory")


@pytest.mark.parametrize("name", ["memory.max", "memory.high", "memory.swap.max", "cpu.max", "cpuset.cpus"])
def test_no_job_escapes_what_limits_us(tmp_path: Path, name: str) -> None:
    make_group(tmp_path, SESSION, cgroup__subtree_control="memory pids")
    own = make_group(tmp_path, f"{SESSION}/run-1.scope", cgroup__procs="4711")
    (own / name).write_text("100000 100000\n" if name == "cpu.max" else "1\n")
    assert find_place(f"0::/{SESSION}/run-1.scope\n", str(tmp_path)) is None


def test_what_others_own_is_left_alone(tmp_path: Path) -> None:
    make_group(tmp_path, "a", cgroup__subtree_control="memory")
    make_group(tmp_path, "a/b", cgroup__procs="4711")
    assert find_place("0::/a/b\n", str(tmp_path), lambda path: False) is None
    procs = str(tmp_path / "a" / "cgroup.procs")
    assert find_place("0::/a/b\n", str(tmp_path), lambda path: path != procs) is None


def test_in_a_container_with_processes_at_its_root_none_can_be_made(tmp_path: Path) -> None:
    make_group(tmp_path, cgroup__procs="1\n4711")
    assert find_place("0::/\n", str(tmp_path)) is None
    assert find_place("0::/docker/0123\n", str(tmp_path)) is None  # as the host names it


def test_the_root_of_all_may_have_processes_and_others(tmp_path: Path) -> None:
    (make_group(tmp_path, cgroup__procs="1") / "cgroup.type").unlink()
    place = find_place("0::/\n", str(tmp_path))
    assert place is not None
    assert (place.path, place.is_to_enable) == (str(tmp_path), True)


@pytest.mark.parametrize(
    "own",
    ["", "0::/\n", "1:cpu:/\n", "0::/../../etc\n", "0::\n"],
    ids=["none", "root", "cpu", "up", "nothing"],
)
def test_where_memory_is_not_counted_there_is_none(tmp_path: Path, own: str) -> None:
    make_group(tmp_path, cgroup__controllers="cpu pids")
    assert find_place(own, str(tmp_path)) is None


def test_a_group_of_threads_has_no_groups_of_processes(tmp_path: Path) -> None:
    make_group(tmp_path, "a", cgroup__type="threaded", cgroup__subtree_control="memory")
    make_group(tmp_path)
    assert find_place("0::/a\n", str(tmp_path), lambda path: path != str(tmp_path)) is None


def test_version_1_is_our_own_group_where_limits_hold_in_it(tmp_path: Path) -> None:
    group = tmp_path / "memory" / "job"
    group.mkdir(parents=True)
    assert find_place("4:memory:/job\n0::/\n", str(tmp_path)) is None
    (group / "memory.use_hierarchy").write_text("1\n")
    (group / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    place = find_place("4:memory:/job\n0::/\n", str(tmp_path))
    assert place is not None
    assert (place.version, place.path) == (1, str(group))
    (group / "memory.oom_control").write_text("oom_kill_disable 1\nunder_oom 0\noom_kill 0\n")
    assert find_place("4:memory:/job\n0::/\n", str(tmp_path)) is None


# --- what is written to them, and read ----------------------------------------------------------


def test_version_2_is_limited_without_swap_and_killed_as_a_whole(tmp_path: Path) -> None:
    files = {"memory.max": "max", "memory.swap.max": "max", "memory.oom.group": "0"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    Place(2, str(tmp_path.parent)).limit(str(tmp_path), 100 * MIB)
    assert int((tmp_path / "memory.max").read_text()) == limit_of(100 * MIB)
    assert (tmp_path / "memory.swap.max").read_text().startswith("0")
    assert (tmp_path / "memory.oom.group").read_text() == "1"


def test_a_kernel_that_counts_no_swap_limits_what_it_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max")
    Place(2, str(tmp_path.parent)).limit(str(tmp_path), MIB)
    (tmp_path / "memory.limit_in_bytes").write_text("")
    Place(1, str(tmp_path.parent)).limit(str(tmp_path), MIB)
    assert read(f"{tmp_path}/memory.max") == read(f"{tmp_path}/memory.limit_in_bytes") == str(limit_of(MIB))


def test_what_the_kernel_tells_is_read(tmp_path: Path) -> None:
    one, two = Place(1, "/"), Place(2, "/")
    assert (one.kills(str(tmp_path)), two.kills(str(tmp_path)), two.peak(str(tmp_path))) == (0, 0, 0)
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 17\noom 1\noom_kill 3\noom_group_kill 1\n")
    (tmp_path / "memory.peak").write_text("104857600\n")
    assert (two.kills(str(tmp_path)), two.peak(str(tmp_path))) == (3, 100 * MIB)
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (tmp_path / "memory.max_usage_in_bytes").write_text("4096\n")
    assert (one.kills(str(tmp_path)), one.peak(str(tmp_path))) == (2, 4096)
    (tmp_path / "cgroup.procs").write_text("0\n0\n12\n")  # two that have no number in this container
    assert processes_in(str(tmp_path)) == [12]


def test_what_the_kernel_cannot_drop_makes_a_group_useless_for_others(tmp_path: Path) -> None:
    one, two = Place(1, "/"), Place(2, "/")
    (tmp_path / "memory.stat").write_text("cache 81920\nshmem 0\nswap 0\nunevictable 0\n")
    assert one.is_clean(str(tmp_path))
    assert two.is_clean(str(tmp_path))
    (tmp_path / "memory.swap.current").write_text("4096\n")
    assert not two.is_clean(str(tmp_path))
    (tmp_path / "memory.stat").write_text("cache 81920\nshmem 4096\nswap 0\n")
    assert not one.is_clean(str(tmp_path))


def test_it_is_told_whose_limit_it_was() -> None:
    assert told(120 * MIB, 100 * MIB) == "it used 120.0 MiB of memory, and had asked for 100.0 MiB"
    assert told(50 * MIB, 100 * MIB).startswith(
        "the kernel ended it, since this machine, or what it runs in,"
    )


def test_a_group_that_cannot_be_limited_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job is watched, then, as it is where there are no groups."""
    monkeypatch.setattr(cgroups, "find_place", lambda: Place(2, str(tmp_path / "place")))
    (tmp_path / "place").mkdir()
    groups = MemoryGroups(EventLoop(), os.fsencode(tmp_path), str(tmp_path))
    order = {"id": "a", "attempt": 1, "spool": "/nowhere", "memory": MIB, "work": {"kind": "command"}}
    assert (
        groups.make(Job(order, b"/state")) == ""
    )  # there is no memory.max in what is no file system of them
    assert not groups
    assert list((tmp_path / "place").iterdir()) == []
    assert groups.make(Job({**order, "memory": None}, b"/state")) == ""


# --- for real -----------------------------------------------------------------------------------

real = find_place()
needs_groups = pytest.mark.skipif(
    real is None or not os.access(real.path, os.W_OK), reason="no cgroup for memory can be made here"
)


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeeperDriver]:
    """A keeper that looks at the memory of jobs once, when they begin, and then leaves it to the kernel."""

    class Unwatched(KeeperDriver):
        program = (
            "-c",
            f"from {memory_watch.__name__.rpartition('.')[0]} import memory_watch; "
            "memory_watch.occupied = lambda pids, limit: 0; "
            "from anyjob.builtin.local.keeper.main import main; main()",
        )

    with running_keeper(tmp_path, driven=Unwatched) as one:
        yield one


def groups_of(driver: KeeperDriver) -> list[str]:
    assert real is not None
    begins = prefix(driver.state)
    return [name for name in os.listdir(real.path) if name.startswith(begins)]


def busy(driver: KeeperDriver) -> list[str]:
    assert real is not None
    return [name for name in groups_of(driver) if processes_in(f"{real.path}/{name}")]


def put_further_in(driver: KeeperDriver, pid: int) -> str:
    """Have a process in a group inside that of the only job, and return that of the job."""
    assert real is not None
    (name,) = groups_of(driver)
    group = f"{real.path}/{name}"
    os.mkdir(f"{group}/inner")
    cgroups.write(f"{group}/inner/cgroup.procs", str(pid))
    return group


@needs_groups
def test_a_program_that_grows_at_once_is_ended_by_the_kernel(driver: KeeperDriver) -> None:
    driver.spawn("a", sys.executable, "-c", f"{GROW}growers.hold(400); print('held')", memory=100 * MIB)
    ended = driver.end_of("a")
    assert (ended["cause"], ended["code"]) == ("memory", -signal.SIGKILL)
    assert ended["message"].endswith(" MiB of memory, and had asked for 100.0 MiB")
    assert 100 * MIB < ended["peak_memory"] < 200 * MIB
    assert driver.text("a") == ""
    until(lambda: not busy(driver), "nothing is left in its group")


@needs_groups
def test_a_call_that_grows_at_once_is_ended_by_the_kernel_and_others_are_not(driver: KeeperDriver) -> None:
    driver.call("a", growers.hold, 400, memory=100 * MIB)
    driver.call("b", growers.keep, 50, memory=100 * MIB)
    assert driver.end_of("a")["cause"] == "memory"
    assert (driver.end_of("b")["code"], driver.value("b")) == (0, 50)
    until(lambda: not busy(driver), "nothing is left in their groups")


@needs_groups
def test_jobs_have_a_group_after_each_other_with_limits_of_their_own(driver: KeeperDriver) -> None:
    """Else the kernel keeps one for each job that has left pages of files in its memory."""
    large = f"{GROW}growers.hold(150)"
    for name, memory, cause in (
        ("a", 300, None),
        ("b", 100, "memory"),
        ("c", 300, None),
        ("d", 20, "memory"),
    ):
        driver.spawn(name, sys.executable, "-c", large, memory=memory * MIB)
        assert driver.end_of(name)["cause"] == cause
        until(lambda: not busy(driver), "nothing is left in its group")
    assert driver.ended["d"]["peak_memory"] < 100 * MIB  # not that of one before
    assert driver.ended["d"]["message"].startswith("it used ")
    assert len(groups_of(driver)) == 1
    driver.close()
    assert groups_of(driver) == []


@needs_groups
def test_a_group_in_whose_memory_a_file_is_left_is_not_for_others(
    driver: KeeperDriver, tmp_path: Path
) -> None:
    path = Path("/dev/shm", f"anyjob-{tmp_path.name}-{os.getpid()}")
    write = f"open({str(path)!r}, 'wb').write(b'x' * {MIB})"
    try:
        driver.spawn("a", sys.executable, "-c", write, memory=100 * MIB)
        driver.end_of("a")
        until(lambda: not groups_of(driver), "its group is gone")
    finally:
        path.unlink(missing_ok=True)


@needs_groups
def test_a_job_of_which_the_kernel_has_killed_a_part_is_ended(driver: KeeperDriver) -> None:
    code = f"{GROW}import os; os.fork() or growers.hold(400); os.wait(); growers.wait_at({driver.fifo()!r})"
    driver.spawn("a", sys.executable, "-c", code, memory=100 * MIB)
    assert driver.end_of("a")["cause"] == "memory"
    script = f"{sys.executable} -c '{GROW.replace(chr(39), chr(34))}growers.hold(400)'; exit 0"
    driver.spawn("b", "/bin/sh", "-c", script, memory=100 * MIB)
    assert driver.end_of("b")["cause"] == "memory"  # whatever its own end says, which may come first


@needs_groups
def test_what_has_left_all_but_its_group_is_ended_with_the_job(driver: KeeperDriver) -> None:
    code = f"{GROW}import os, time; os.environb.clear(); growers.daemonize(os.execve, '/bin/sleep', "
    code += "['sleep', '600'], {})"
    driver.spawn("a", sys.executable, "-c", code, memory=100 * MIB, grace=0.0)
    assert driver.end_of("a")["code"] == 0
    until(lambda: not busy(driver), "what was in its group is gone")


@needs_groups
def test_groups_that_a_job_makes_in_its_own_go_with_it(driver: KeeperDriver) -> None:
    driver.spawn("a", "/bin/sleep", "600", memory=100 * MIB)
    pid = driver.start_of("a")
    assert memory_groups.has_processes(put_further_in(driver, pid))
    driver.kill("a")
    driver.end_of("a")
    until(lambda: not groups_of(driver), "both groups are gone")


@needs_groups
def test_what_the_kernel_kills_in_a_group_that_a_job_makes_counts(driver: KeeperDriver) -> None:
    fifo = driver.fifo()
    code = f"{GROW}import os; growers.wait_at({fifo!r}); os.fork() or growers.hold(400); os.wait()"
    driver.spawn("a", sys.executable, "-c", code, memory=100 * MIB)
    pid = driver.start_of("a")
    put_further_in(driver, pid)
    os.write(driver.held[-1], b".")
    assert driver.end_of("a")["cause"] == "memory"


@needs_groups
def test_what_a_killed_keeper_leaves_is_killed_and_removed(driver: KeeperDriver) -> None:
    driver.spawn("a", "/bin/sleep", "600", memory=100 * MIB)
    pid = driver.start_of("a")
    (name,) = groups_of(driver)
    assert real is not None
    assert processes_in(f"{real.path}/{name}") == [pid]
    driver.kill_keeper()
    assert sweep(driver.state, driver.logs) == []
    assert groups_of(driver) == []
    assert not (driver.logs / memory_groups.RECORD).exists()
    until(lambda: not Path(f"/proc/{pid}/exe").exists(), "what was in it is gone")


def test_what_a_killed_keeper_was_about_to_start_does_not_start(tmp_path: Path) -> None:
    """It has no mark until it is the program: nobody would find it, and the job may run a second time."""
    asked, go_on, ran = tmp_path / "asked", tmp_path / "go-on", tmp_path / "ran"
    for fifo in (asked, go_on):
        os.mkfifo(fifo)

    class Slow(KeeperDriver):
        program = (
            "-c",
            "from anyjob.builtin.local.keeper.launch import program; "
            f"program.join = lambda group: (open({str(asked)!r}, 'w').close(), open({str(go_on)!r}).read()); "
            "from anyjob.builtin.local.keeper.processes.memory_groups import MemoryGroups; "
            "MemoryGroups.make = lambda groups, job: '/nowhere'; "
            "MemoryGroups.end = lambda groups, job: None; "
            "from anyjob.builtin.local.keeper.main import main; main()",
        )

    with running_keeper(tmp_path, driven=Slow) as driver:
        driver.spawn("a", "/bin/sh", "-c", f"echo ran > {ran}", memory=100 * MIB)
        asked.read_text()
        session = children(driver.keeper.pid)
        assert session is not None
        (pid,) = session
        driver.kill_keeper()
        with open(go_on, "w"):
            pass
        until(lambda: not Path(f"/proc/{pid}/exe").exists(), "what was to become the program is gone")
        assert not ran.exists()


# --- who is told --------------------------------------------------------------------------------


def test_it_is_told_who_holds_jobs_to_their_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "find_place", lambda: None)
    watched = memory_groups.describe(str(tmp_path))
    assert watched["by"] == "watch"
    assert "systemd-run --user --scope" in watched["words"]
    (tmp_path / memory_groups.RECORD).write_text("/sys/fs/cgroup/there\n")  # as the keeper has found out
    held = memory_groups.describe(str(tmp_path))
    assert (held["by"], held["words"].split()[-1]) == ("kernel", "/sys/fs/cgroup/there")
    (tmp_path / memory_groups.RECORD).unlink()
    monkeypatch.setattr(cgroups, "find_place", lambda: Place(2, "/sys/fs/cgroup/here"))
    assert memory_groups.describe(str(tmp_path))["words"].endswith(" /sys/fs/cgroup/here")


def test_show_and_check_say_it() -> None:
    assert "\nmemory of jobs that ask for it: " in invoke("backends", "show", "local").stdout
    assert "memory of jobs" not in invoke("backends", "show", "threads").stdout
    assert "\nmemory: ok: " in invoke("backends", "check", "local", "--quick").stdout
