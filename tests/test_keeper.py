"""The keeper, as a process, with real jobs."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keeper_driver import SOURCE, KeeperDriver, running_keeper, until

from anyjob.builtin.local import process_table
from anyjob.builtin.local.keeper.log.lines import replay
from anyjob.builtin.local.keeper.processes import reaper
from anyjob.builtin.local.keeper.processes.reaper import SMALL, PeakMemory
from anyjob.builtin.local.keeper.processes.usage import UNKNOWN, usage_of
from anyjob.builtin.local.process_table import read_process
from anyjob.builtin.local.supervisor.keepers.dead_keeper import kill_leftovers
from anyjob.outcome import USAGE

PYTHON = sys.executable
# Its parent waits for its pid to be written: a job's end is the end of what it has started, too.
DAEMON = (
    "import os, time; os.setsid(); r, w = os.pipe(); os.fork() and (os.read(r, 1), os._exit(0)); "
    "print(os.getpid(), flush=True); os.write(w, b'.'); time.sleep(600)"
)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[KeeperDriver]:
    with running_keeper(tmp_path) as one:
        yield one


def gone(pid: int) -> bool:
    process = read_process(pid)
    return process is None or process.state == b"Z"


def pids_in(driver: KeeperDriver, job: str, count: int) -> list[int]:
    """Wait until a job has written so many pids."""

    def written() -> list[str]:
        path = driver.state / "spool" / job / "stdout"
        return path.read_text().split() if path.exists() else []

    until(lambda: len(written()) == count, f"{job} writes {count} pids")
    return [int(pid) for pid in written()]


# --- what a job gets --------------------------------------------------------------------------


def test_a_command_runs_and_its_end_is_told_and_logged(driver: KeeperDriver) -> None:
    driver.spawn("a", "/bin/sh", "-c", "echo out; echo err >&2; exit 3")
    event = driver.end_of("a")
    assert (event["code"], event["cause"], event["message"]) == (3, None, "")
    assert event["started"] <= event["finished"]
    assert driver.started["a"]["pid"] == event["pid"]
    assert (driver.text("a"), driver.text("a", "stderr")) == ("out\n", "err\n")
    logged = driver.log().ended["a"]
    assert {name: event[name] for name in logged} == {
        **logged,
        "started": pytest.approx(logged["started"], abs=1e-5),
        "finished": pytest.approx(logged["finished"], abs=1e-5),
    }


def test_arguments_and_environment_arrive_byte_for_byte(driver: KeeperDriver) -> None:
    """psij-python#423: blanks, ``$(…)`` and bytes that are not UTF-8 are nothing special."""
    hostile = [b"a b", b"$(touch /tmp/x)", b"`id`", b"\xff\xfe'\"\\", b"", b"new\nline", b"*"]
    program = "import os, sys; given = [*map(os.fsencode, sys.argv[1:]), os.environb[b'V']];"
    program += r"sys.stdout.buffer.write(b'\0'.join(given))"
    environment = driver.environment(PATH=os.environ["PATH"], V=b"shared \xff$(id)")
    driver.spawn("a", PYTHON, "-c", program, *hostile, environment=environment)
    driver.spawn("b", PYTHON, "-c", program, environment=environment, extra={b"V": b"own \xfe $HOME"})
    driver.end_of("a", "b")
    written = (driver.state / "spool" / "a" / "stdout").read_bytes()
    assert written == b"\0".join([*hostile, b"shared \xff$(id)"])
    assert (driver.state / "spool" / "b" / "stdout").read_bytes() == b"own \xfe $HOME"


def test_a_job_runs_where_it_was_submitted(driver: KeeperDriver, tmp_path: Path) -> None:
    place = os.fsencode(tmp_path) + b"/d \xff"
    os.mkdir(place)
    driver.spawn("a", "/bin/pwd", cwd=place)
    driver.end_of("a")
    assert (driver.state / "spool" / "a" / "stdout").read_bytes() == place + b"\n"


def test_a_job_gets_three_descriptors_and_a_session_and_no_signal_ignored(driver: KeeperDriver) -> None:
    """Locks must not be inherited by children."""
    driver.spawn(
        "a",
        "/bin/sh",
        "-c",
        "ls /proc/self/fd; cat /proc/self/status; cat; exec cut -d' ' -f1,6 /proc/$$/stat",
    )
    assert driver.end_of("a")["code"] == 0
    text = driver.text("a")
    assert text.startswith("0\n1\n2\n3\nName:")  # 3 is what ls reads the directory with
    # glibc's posix_spawn has its own two, 32 and 33, ignored.
    ours = [int(digits, 16) & 0x7FFFFFFF for digits in re.findall("Sig(?:Blk|Ign):\t([0-9a-f]+)", text)]
    assert ours == [0, 0]
    pid = driver.ended["a"]["pid"]
    assert text.endswith(f"\n{pid} {pid}\n")


def test_a_job_knows_who_it_is(driver: KeeperDriver) -> None:
    driver.spawn("a", "/bin/sh", "-c", 'echo "$ANYJOB_JOB_ID $ANYJOB_ATTEMPT $ANYJOB_SPOOL $ANYJOB_KEEPER"')
    driver.end_of("a")
    assert driver.text("a") == f"a 1 {driver.state}/spool/a {driver.state}\n"


def test_a_command_reads_its_stdin(driver: KeeperDriver, tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(b"from a file")
    driver.spawn("a", "/bin/cat", stdin=str(tmp_path / "given"))
    driver.end_of("a")
    assert driver.text("a") == "from a file"
    driver.spawn("b", "/bin/cat", stdin=str(tmp_path / "missing"))
    event = driver.end_of("b")
    assert event["cause"] == "start-failed"
    assert "missing' cannot be opened" in event["message"]


def test_what_a_job_has_is_private(driver: KeeperDriver) -> None:
    driver.spawn("a", "/bin/true")
    driver.end_of("a")
    spool = driver.state / "spool" / "a"
    assert spool.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in spool.iterdir()} == {0o600}
    assert driver.socket.stat().st_mode & 0o777 == 0o600


# --- what cannot be started -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "more", "code", "said"),
    [
        (["no-such-program"], {}, 127, "'no-such-program' is not there, nor anywhere on PATH"),
        (["/no/such"], {}, 127, "'/no/such' is not there"),
        ([""], {}, 127, "is not there"),
        ([], {}, 127, "no program"),
        (["/etc/passwd"], {}, 126, "Permission denied"),
        (["/bin/true"], {"cwd": b"/no/such"}, 126, "its directory '/no/such' is not there"),
        (["/bin/true"], {"environment": "/no/such"}, 126, "its environment '/no/such'"),
        (["/bin/true"], {"spool": "/no/such/x"}, 126, "its directory '/no/such/x' cannot be made"),
        (["a\0b"], {}, 126, "null"),
        (["/bin/true", "a\0b"], {}, 126, "embedded null"),
    ],
)
def test_what_cannot_be_started_says_why(
    driver: KeeperDriver, argv: list[str], more: dict[str, Any], code: int, said: str
) -> None:
    driver.spawn("a", *argv, **more)
    event = driver.end_of("a")
    assert (event["code"], event["cause"], event["pid"]) == (code, "start-failed", None)
    assert said in event["message"]
    assert driver.log().ended["a"]["message"] == event["message"]


@pytest.mark.parametrize(
    ("content", "said"), [(b"\xc1", "no plain data"), (b"\x80\x04K\x01.", "no variables")]
)
def test_an_environment_that_is_damaged_is_not_used(driver: KeeperDriver, content: bytes, said: str) -> None:
    path = driver.environment(A="b")
    Path(path).write_bytes(content)
    driver.spawn("a", "/bin/true", environment=path)
    event = driver.end_of("a")
    assert event["cause"] == "start-failed"
    assert f"its environment {path!r} is damaged: " in event["message"]
    assert said in event["message"]


def test_a_program_is_sought_on_the_path_of_the_job(driver: KeeperDriver, tmp_path: Path) -> None:
    script = tmp_path / "my-program"
    script.write_text("#!/bin/sh\necho mine\n")
    environment = driver.environment(PATH=f"/bin:{tmp_path}")
    driver.spawn("a", "my-program", environment=environment)
    assert driver.end_of("a")["code"] == 126
    script.chmod(0o755)
    driver.spawn("b", "my-program", environment=environment)
    assert driver.end_of("b")["code"] == 0
    assert driver.text("b") == "mine\n"


def test_links_in_the_spool_are_not_followed(driver: KeeperDriver, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "stdout").write_text("kept")
    (driver.state / "spool" / "a").symlink_to(precious)
    (driver.state / "spool" / "b").mkdir()
    (driver.state / "spool" / "b" / "stdout").symlink_to(precious / "stdout")
    driver.spawn("a", "echo", "no")
    driver.spawn("b", "echo", "no")
    driver.end_of("a", "b")
    assert {event["cause"] for event in driver.ended.values()} == {"start-failed"}
    assert (precious / "stdout").read_text() == "kept"


def test_an_id_that_is_a_path_is_refused(driver: KeeperDriver) -> None:
    driver.spawn("../a", "/bin/true")
    until(lambda: "no id of a job" in driver.errors(), "the keeper complains")
    driver.connection.close()
    driver.connect()
    driver.spawn("a", "/bin/true")
    assert driver.end_of("a")["code"] == 0


# --- how a job ends ---------------------------------------------------------------------------


def test_a_killed_job_says_by_what(driver: KeeperDriver) -> None:
    driver.spawn("a", "sleep", "600")
    os.kill(driver.start_of("a"), signal.SIGKILL)
    event = driver.end_of("a")
    assert (event["code"], event["cause"]) == (-signal.SIGKILL, None)


def test_cancel_lets_a_job_clean_up(driver: KeeperDriver) -> None:
    """dask-jobqueue#640: TERM, grace, KILL."""
    driver.spawn(
        "a", "/bin/sh", "-c", "trap 'echo cleaned; exit 5' TERM; echo $$; while :; do sleep 0.01; done"
    )
    pids_in(driver, "a", 1)
    driver.kill("a")
    event = driver.end_of("a")
    assert (event["code"], event["cause"]) == (5, "cancel")
    assert driver.text("a").endswith("cleaned\n")


STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for escape in range(3):
    if os.fork() == 0:
        if escape:
            os.setsid()
        if escape == 2 and os.fork():
            os._exit(0)
        os.write(1, b"%d\\n" % os.getpid())
        time.sleep(600)
os.write(1, b"%d\\n" % os.getpid())
time.sleep(600)
"""


@pytest.mark.parametrize("cause", ["cancel", "walltime"])
def test_a_tree_that_ignores_term_is_killed(driver: KeeperDriver, cause: str) -> None:
    """qiskit#638: cancel ends the whole process tree, wherever it has gone; so does walltime."""
    walltime = 3 if cause == "walltime" else None
    driver.spawn("a", PYTHON, "-c", STUBBORN, walltime=walltime, grace=0.2)
    if cause == "cancel":
        pids = pids_in(driver, "a", 4)
        driver.kill("a", grace=0.2)
    event = driver.end_of("a")
    assert (event["code"], event["cause"]) == (-signal.SIGKILL, cause)
    if cause == "cancel":
        until(lambda: all(map(gone, pids)), "the tree is gone")
    until(lambda: not driver.marked(), "nothing is left")


def test_a_second_cancel_can_shorten_the_grace(driver: KeeperDriver) -> None:
    driver.spawn("a", PYTHON, "-c", STUBBORN)
    pids_in(driver, "a", 4)
    driver.kill("a", grace=500)
    driver.kill("a", grace=0)
    assert driver.end_of("a")["code"] == -signal.SIGKILL


def test_the_keeper_serves_others_while_one_is_ending(driver: KeeperDriver) -> None:
    driver.spawn("a", PYTHON, "-c", STUBBORN, grace=500)
    pids_in(driver, "a", 4)
    driver.kill("a", grace=500)
    driver.spawn("b", "/bin/true")
    assert driver.end_of("b")["code"] == 0
    assert "a" not in driver.ended
    driver.kill("a", grace=0)
    driver.end_of("a")


def test_what_a_job_leaves_behind_is_ended(driver: KeeperDriver) -> None:
    """In its group; and a daemon, in a session of its own, whose parents are gone."""
    script = f'sleep 600 & echo $!; {PYTHON} -c "{DAEMON}"'
    driver.spawn("a", "/bin/sh", "-c", script)
    assert driver.end_of("a")["code"] == 0
    pids = pids_in(driver, "a", 2)
    until(lambda: all(map(gone, pids)), "the daemon and the background process are gone")


def test_a_daemon_of_a_job_that_runs_is_left_alone(driver: KeeperDriver) -> None:
    driver.spawn("a", "/bin/sh", "-c", f'{PYTHON} -c "{DAEMON}"; cat /dev/zero >/dev/null')
    (pid,) = pids_in(driver, "a", 1)
    driver.spawn("b", "/bin/sh", "-c", f'{PYTHON} -c "{DAEMON}"')
    driver.end_of("b")
    (other,) = pids_in(driver, "b", 1)
    until(lambda: gone(other), "the daemon of the job that has ended is gone")
    assert not gone(pid)
    driver.kill("a")
    driver.end_of("a")
    until(lambda: gone(pid), "and so is the other")


def test_what_a_job_has_used_is_told_its_waited_children_included(driver: KeeperDriver) -> None:
    work = "import os, sys; open('/dev/zero', 'rb').read(3_000_000); print('x' * 2_000_000, flush=True)"
    loop = "import time; t = time.process_time; u = t() + 0.2\nwhile t() < u: pass"
    driver.spawn("idle", "/bin/true")
    driver.spawn("a", "/bin/sh", "-c", f'{PYTHON} -c "{work}"; {PYTHON} -c "{loop}"; exit 3')
    driver.end_of("idle", "a")
    used, idle = driver.ended["a"], driver.ended["idle"]
    assert 0.2 <= used["cpu_time"] < 20
    assert idle["cpu_time"] < used["cpu_time"]
    assert 3_000_000 <= used["read_bytes"] < 20_000_000
    assert 2_000_000 < used["written_bytes"] < 3_000_000
    assert idle["written_bytes"] == 0
    logged = driver.log().ended["a"]
    measured = [name for name in USAGE if name != "peak_gpu_memory"]  # nobody has a GPU here
    assert {name: logged[name] for name in measured} == {name: used[name] for name in measured}


def test_peak_memory_is_the_jobs_own_above_that_of_a_small_keeper(driver: KeeperDriver) -> None:
    """A process spawned from a large parent reports the parent's peak as its own."""
    driver.spawn("small", "/bin/true")
    driver.spawn("large", PYTHON, "-c", "b'x' * 80_000_000")
    driver.end_of("small", "large")
    assert 1_000_000 < driver.ended["small"]["peak_memory"] <= SMALL
    assert 80_000_000 < driver.ended["large"]["peak_memory"] < 200_000_000


def test_a_peak_that_drowns_in_that_of_the_keeper_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = ({**UNKNOWN, "cpu_time": 0.5, "peak_memory": peak} for peak in (1 << 20, 1 << 50))
    assert PeakMemory().of_program(small) == small
    monkeypatch.setattr(reaper, "SMALL", 0)
    memory = PeakMemory()
    assert memory.of_program(large) == large
    assert memory.of_program(small) == {**small, "peak_memory": None}


@pytest.mark.parametrize("io", [b"", b"rchar: 1", b"rchar 1 wchar 2"])
def test_what_cannot_be_read_of_a_process_is_not_known(io: bytes) -> None:
    known = {"cpu_time": 0.5, "peak_memory": 2048}
    assert usage_of(0.5, 2, io) == {**UNKNOWN, **known}
    whole = b"rchar: 7\nwchar: 9\nsyscr: 1\n"
    assert usage_of(0.5, 2, whole) == {**known, "read_bytes": 7, "written_bytes": 9}


# --- the keeper itself ------------------------------------------------------------------------


def test_a_second_keeper_ends_at_once(driver: KeeperDriver) -> None:
    assert driver.launch().wait(60) == 0
    driver.spawn("a", "/bin/true")
    assert driver.end_of("a")["code"] == 0
    assert (driver.logs / "keeper.lock").read_text() == f"{driver.keeper.pid}\n"


@pytest.mark.parametrize("mode", [0o770, 0o702], ids=["its group", "everybody"])
def test_a_state_directory_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(mode)
    places = ["--state", str(tmp_path / "state"), "--runtime", str(tmp_path / "run")]
    command = [PYTHON, "-m", "anyjob.builtin.local.keeper.main", *places]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": SOURCE}, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "others may write to it" in ended.stderr


def test_the_keeper_stays_small(driver: KeeperDriver) -> None:
    """What it is large with, is told of its jobs; and a large parent is slow to spawn from."""
    loaded = Path(f"/proc/{driver.keeper.pid}/maps").read_text()
    assert not re.search("sqlite|msgspec|libcrypto|_asyncio", loaded)
    size = int(Path(f"/proc/{driver.keeper.pid}/status").read_text().split("VmHWM:")[1].split()[0])
    assert size < 20_000


def test_the_keeper_imports_nothing_that_is_installed() -> None:
    program = "import sys; before = set(sys.modules); from anyjob.builtin.local.keeper import main;"
    program += "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    said = subprocess.run(
        [PYTHON, "-c", program], env={**os.environ, "PYTHONPATH": SOURCE}, capture_output=True, text=True
    )
    assert set(said.stdout.split()) - {"anyjob"} <= set(sys.stdlib_module_names), said.stderr


def test_jobs_run_on_without_a_supervisor_and_the_next_one_finds_them(driver: KeeperDriver) -> None:
    """executorlib#412: what watches may die; the log and the next connection tell the same story."""
    driver.spawn("a", "/bin/sh", "-c", "echo $$; read line", stdin=driver.fifo())
    driver.spawn("b", "sleep", "600")
    driver.start_of("b")
    driver.connection.close()
    with open(driver.state / "fifo", "w") as stream:
        stream.write("go\n")
    until(lambda: "a" in driver.log().ended, "the end is logged")
    driver.connect()
    size = driver.hello["offset"]
    log = replay((driver.logs / "keeper.log").read_bytes()[:size])
    assert (set(log.running), set(log.ended)) == ({"b"}, {"a"})
    assert log.running["b"]["pid"] == driver.started["b"]["pid"]
    driver.kill("b")
    assert driver.end_of("b")["cause"] == "cancel"


def test_a_new_connection_replaces_the_old(driver: KeeperDriver) -> None:
    old = driver.connection
    driver.connect()
    assert old.recv(1 << 16) == b""
    driver.spawn("a", "/bin/true")
    assert driver.end_of("a")["code"] == 0
    old.close()


def test_nonsense_ends_the_connection_and_nothing_else(driver: KeeperDriver) -> None:
    driver.spawn("a", "sleep", "600")
    driver.start_of("a")
    driver.connection.sendall(b"\x03\0\0\0\xc1\xc1\xc1")
    until(lambda: driver.connection.recv(1 << 16) == b"", "the keeper hangs up")
    driver.connection.close()
    driver.connect()
    driver.kill("a")
    assert driver.end_of("a")["cause"] == "cancel"


def test_the_same_start_twice_runs_once(driver: KeeperDriver) -> None:
    driver.spawn("a", "/bin/sh", "-c", "echo ran; sleep 600")
    driver.spawn("a", "/bin/sh", "-c", "echo ran; sleep 600")
    until(lambda: driver.text("a") == "ran\n" if driver.start_of("a") else False, "it runs")
    driver.kill("a")
    driver.end_of("a")
    assert driver.text("a") == "ran\n"


def test_a_compacted_log_knows_which_gpus_are_not_free(driver: KeeperDriver) -> None:
    left = "trap '' TERM; sh -c 'trap \"\" TERM; echo; exec sleep 600' > pipe & read x < pipe"
    fifo = driver.fifo("pipe")
    driver.spawn("a", "/bin/sh", "-c", left.replace("pipe", fifo), devices=["0", "1"], grace=2.0)
    driver.spawn("b", "/bin/sleep", "600", devices=["2"])
    driver.end_of("a")
    driver.start_of("b")
    driver.send(op="compact")
    driver.wait(lambda: bool(driver.others), "compacted")
    assert driver.log().held == {"a": ["0", "1"], "b": ["2"]}
    driver.kill("b")
    freed = {"a": 1, "b": 1}
    driver.wait(
        lambda: {each["id"]: each["attempt"] for each in driver.others if each["op"] == "freed"} == freed,
        "both are told to be free",
    )
    assert driver.log().held == {}


def test_compacting_forgets_what_has_ended(driver: KeeperDriver) -> None:
    driver.spawn("a", "/bin/true")
    driver.spawn("b", "sleep", "600")
    driver.start_of("b")
    driver.end_of("a")
    driver.send(op="compact")
    driver.wait(lambda: bool(driver.others), "compacted")
    (answer,) = driver.others
    assert answer["op"] == "compacted"
    assert Path(answer["log"]).stat().st_size == answer["offset"]
    log = driver.log()
    assert (set(log.running), set(log.ended)) == ({"b"}, set())
    assert log.running["b"]["pid"] == driver.started["b"]["pid"]
    driver.kill("b")
    driver.end_of("b")
    assert set(driver.log().ended) == {"b"}


def test_stop_waits_for_what_runs(driver: KeeperDriver) -> None:
    driver.spawn("a", "/bin/sh", "-c", "read line", stdin=driver.fifo())
    driver.start_of("a")
    driver.send(op="stop")
    with open(driver.state / "fifo", "w") as stream:
        stream.write("go\n")
    assert driver.end_of("a")["code"] == 0
    assert driver.keeper.wait(60) == 0
    assert not driver.socket.exists()


def test_durability_can_be_asked_for(tmp_path: Path) -> None:
    with running_keeper(tmp_path) as driver:
        driver.spawn("a", "/bin/true", durable=True)
        driver.call("b", abs, -1, durable=True)
        driver.end_of("a", "b")
        assert (driver.ended["a"]["code"], driver.value("b")) == (0, 1)
        assert set(driver.log().ended) == {"a", "b"}


def test_it_ends_when_nothing_runs_and_nobody_watches(tmp_path: Path) -> None:
    driver = KeeperDriver(tmp_path, "--idle", "0.2")
    driver.spawn("a", "/bin/sh", "-c", "read line", stdin=driver.fifo())
    driver.start_of("a")
    driver.connection.close()
    with open(driver.state / "fifo", "w") as stream:
        stream.write("go\n")
    assert driver.keeper.wait(60) == 0
    assert driver.log().ended["a"]["code"] == 0
    os.close(driver.held.pop())


def test_what_cannot_be_logged_is_started_when_it_can_be_and_what_has_ended_is_logged_later(
    driver: KeeperDriver,
) -> None:
    driver.spawn("a", "/bin/sh", "-c", "read line", stdin=driver.fifo())
    driver.start_of("a")
    full = (driver.logs / "keeper.log").stat().st_size + 5
    before = resource.prlimit(driver.keeper.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    driver.spawn("b", "/bin/true")
    driver.spawn("c", "/bin/true")
    driver.wait(lambda: "keeper.log: the disk is full (No space left" in str(driver.others), "it is told why")
    driver.kill("c")
    assert driver.end_of("c")["cause"] == "cancel"
    with open(driver.state / "fifo", "w") as stream:
        stream.write("go\n")
    assert driver.end_of("a")["code"] == 0
    assert set(driver.log().running) == {"a"}, "a line is there whole or not at all"
    resource.prlimit(driver.keeper.pid, resource.RLIMIT_FSIZE, before)
    assert driver.end_of("b")["code"] == 0
    until(lambda: set(driver.log().ended) == {"a", "b", "c"}, "all ends are logged")
    assert not driver.log().running


def test_what_could_not_be_logged_and_has_not_begun_is_forgotten_with_the_supervisor(tmp_path: Path) -> None:
    """It began when there was room, and ended; the next supervisor, which no log told, had it run again."""
    driver = KeeperDriver(tmp_path, "--idle", "0.2")
    full = (driver.logs / "keeper.log").stat().st_size + 5
    before = resource.prlimit(driver.keeper.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    driver.spawn("a", "/bin/sh", "-c", f"echo ran >> {tmp_path}/ran", capacity=1)
    driver.spawn("b", "/bin/sh", "-c", f"echo ran >> {tmp_path}/ran", capacity=1)
    driver.wait(lambda: "keeper.log: the disk is full" in str(driver.others), "it waits for room")
    driver.connection.close()
    resource.prlimit(driver.keeper.pid, resource.RLIMIT_FSIZE, before)
    driver.connect()
    log = replay((driver.logs / "keeper.log").read_bytes() + driver.hello["unwritten"])
    assert not log.running
    assert not log.ended
    driver.send(op="stop")  # once nothing runs, and nothing waits to
    assert driver.keeper.wait(60) == 0
    assert not (tmp_path / "ran").exists()
    driver.connection.close()


def test_an_end_that_cannot_be_logged_is_told_to_who_comes_next(tmp_path: Path) -> None:
    driver = KeeperDriver(tmp_path, "--idle", "0.2")
    driver.spawn("a", "/bin/sh", "-c", "read line", stdin=driver.fifo())
    driver.start_of("a")
    full = (driver.logs / "keeper.log").stat().st_size
    before = resource.prlimit(driver.keeper.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    with open(driver.state / "fifo", "w") as stream:
        stream.write("go\n")
    assert driver.end_of("a")["code"] == 0
    driver.connection.close()  # whoever has heard it is gone, and has written nothing down
    driver.ended.clear()

    driver.connect()

    assert set(driver.log().running) == {"a"}, "the log knows nothing of it"
    assert replay(driver.hello["unwritten"]).ended["a"]["code"] == 0
    driver.connection.close()
    with pytest.raises(subprocess.TimeoutExpired):
        driver.keeper.wait(1)  # many times as long as it stays for nothing
    resource.prlimit(driver.keeper.pid, resource.RLIMIT_FSIZE, before)
    assert driver.keeper.wait(60) == 0
    assert driver.log().ended["a"]["code"] == 0
    os.close(driver.held.pop())


def test_it_starts_a_supervisor_when_there_is_none_and_work_is_left(tmp_path: Path) -> None:
    called = tmp_path / "called"
    command = json.dumps(["/bin/sh", "-c", f'echo "$ANYJOB_JOB_ID." >> {called}'])
    os.environ["ANYJOB_JOB_ID"] = "of-whoever-started-us"
    try:
        driver = KeeperDriver(tmp_path, "--supervisor", command)
    finally:
        del os.environ["ANYJOB_JOB_ID"]
    driver.spawn("a", "sleep", "600")
    driver.start_of("a")
    assert not called.exists()
    driver.connection.close()
    until(lambda: called.exists() and called.read_text().count("\n") == 2, "it was tried again")
    assert set(called.read_text().split()) == {"."}, "it carries no job's mark"
    driver.connect()
    driver.kill("a")
    driver.end_of("a")
    driver.close()


def test_after_the_death_of_the_keeper_nothing_of_it_is_left(driver: KeeperDriver) -> None:
    driver.spawn("a", "/bin/sh", "-c", f'{PYTHON} -c "{DAEMON}"; sleep 600')
    pids = [*pids_in(driver, "a", 1), driver.start_of("a")]
    driver.call("b", os.system, "sleep 600")
    pids.append(driver.start_of("b"))
    driver.kill_keeper()
    assert kill_leftovers(driver.log(), driver.state) == []
    assert all(map(gone, pids))
    assert set(driver.log().running) == {"a", "b"}
    # And the next one takes over from its log.
    driver.connection.close()
    driver.keeper = driver.launch()
    driver.connect()
    assert set(driver.log().lost) == {"a", "b"}
    driver.spawn("b", "/bin/true", attempt=2)
    assert driver.end_of("b")["attempt"] == 2


def test_another_user_is_not_served() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can speak as somebody else")
    with tempfile.TemporaryDirectory() as directory, running_keeper(Path(directory)) as driver:
        for path, mode in ((Path(directory), 0o755), (driver.runtime, 0o755), (driver.socket, 0o666)):
            path.chmod(mode)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            os.seteuid(12345)
            try:
                other.connect(str(driver.socket))
            finally:
                os.seteuid(0)
            assert other.recv(100) == b""
        driver.spawn("a", "/bin/true")
        assert driver.end_of("a")["code"] == 0


def test_the_directory_above_a_mark_is_not_confused_with_it() -> None:
    mark = process_table.read_mark(b"ANYJOB_KEEPER=/state\0ANYJOB_JOB_ID=a\0ANYJOB_ATTEMPT=1")
    assert mark is not None
    assert mark.keeper != "/state2"
