"""The supervisor of the `local` backend: one at a time, whoever comes, goes, or speaks nonsense."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from running_local import SOURCE, Local, running, until

from anyjob import Call, Command
from anyjob.builtin.local import client
from anyjob.builtin.local.connection import await_end, greet
from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.ipc.protocol import CLIENT_PROTOCOL
from anyjob.builtin.local.ipc.sockets import connect
from anyjob.builtin.local.keeper.log.lines import replay
from anyjob.builtin.local.locks import lock_holder, take_lock
from anyjob.builtin.local.paths import RuntimePaths, program_environment
from anyjob.builtin.local.supervisor.keepers import keeper_link, keeper_startup
from anyjob.errors import BackendUnavailableError, StateError
from anyjob.spool import plain_data

MAIN = (
    "import sys; from anyjob.builtin.local.supervisor import clients, main, service; "
    "from anyjob.builtin.local.supervisor.keepers import keeper_link; "
)
RUN = "; sys.exit(main.main())"
SHORT = f"{MAIN}service.IDLE = 2{RUN}"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Local]:
    with running(tmp_path) as made:
        yield made


def command(paths: RuntimePaths, code: str | None = None) -> list[str]:
    words = [sys.executable, *paths.arguments("supervisor")]
    if code:
        words[words.index("-c") + 1] = f"import sys; sys.path[:] = {sys.path!r}; {code}"
    return words


def speak(own: Local) -> FrameSocket:
    connection = connect(own.paths.supervisor_socket)
    assert connection is not None
    connection.settimeout(30)
    return FrameSocket(connection)


def say(frames: FrameSocket, *messages: Any) -> Any:
    for message in messages:
        frames.send(message)
    assert frames.flush()
    said: list[Any] = []
    while not said:
        said = frames.receive()
    return said[0]


def test_of_ten_that_start_at_once_one_serves(own: Local) -> None:
    started = [subprocess.Popen(command(own.paths)) for _ in range(10)]
    assert [process.wait(60) for process in started] == [0] * 10
    assert own.backend.run(Command(["true"])).result(30).exit_code == 0
    until(lambda: serving(own) == [own.supervisor], "the others have ended")


def serving(own: Local) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(own.state) in (process.info["cmdline"] or ())
        and "local.supervisor" in str(process.info["cmdline"])
        and "local.keeper" not in str(process.info["cmdline"])
    ]


def test_stale_sockets_are_replaced(own: Local) -> None:
    for path in (own.paths.supervisor_socket, own.paths.keeper_socket):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
    assert own.backend.run(Command(["true"])).result(30).exit_code == 0


def test_a_socket_that_somebody_removed_is_made_anew(own: Local) -> None:
    job = own.backend.run(Command(["sleep", "1000"]))
    until(job.running, "it runs")
    before = own.supervisor
    own.paths.supervisor_socket.unlink()
    job.cancel()
    with own.another() as other:
        assert other.get_backend("local").run(Command(["true"])).result(30).exit_code == 0
    assert own.supervisor != before


def test_processes_with_another_runtime_directory_meet(own: Local) -> None:
    """A job of cron has no ``XDG_RUNTIME_DIR``, and finds the same supervisor."""
    own.backend.run(Command(["true"])).result(30)
    code = "from anyjob import Command; print(local.backend.run(Command(['true'])).result(30).exit_code)"
    with own.program(code, XDG_RUNTIME_DIR="") as other:
        assert other.communicate(timeout=60)[0] == "0\n"


def test_nothing_is_left_running_without_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path) as own:
        short = command(own.paths, SHORT)[1:]
        monkeypatch.setattr(RuntimePaths, "arguments", lambda *_, **__: short)
        assert own.backend.run(Call(abs, (-1,))).result(30) == 1
        own.session.close()
        until(lambda: own.supervisor is None and own.keeper is None and not own.marked(), "all have ended")


def test_work_of_a_client_that_died_before_it_could_say_so_is_done(own: Local) -> None:
    """executorlib#412: what is in the ledger runs, though nobody was told."""
    own.backend.run(Command(["true"])).result(30)
    code = "from anyjob import Command; import os\n"
    code += "local.backend._client.ask = lambda message: os._exit(7)\n"
    code += "local.backend.run(Command(['true']), name='orphan')"
    with own.program(code) as client:
        assert client.wait(60) == 7
    (job,) = own.session.jobs(name="orphan")
    assert job.result(30).exit_code == 0


# --- who may speak to it ------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["supervisor", "keeper"])
def test_nonsense_ends_a_connection_and_nothing_else(own: Local, who: str) -> None:
    job = own.backend.run(Command(["sleep", "1000"]))
    until(job.running, "it runs")
    before = own.supervisor
    connection = connect(own.paths.supervisor_socket if who == "supervisor" else own.paths.keeper_socket)
    assert connection is not None
    # The keeper hears one supervisor: the real one, which comes back, may end this before it is read.
    ended: tuple[type[Exception], ...] = (ConnectionError,) if who == "keeper" else ()
    for data in (b"\xff" * 100, b"\x01\x00\x00\x00\xc1"):
        with connection as talking:
            talking.settimeout(30)
            with suppress(*ended):
                talking.sendall(data)
                while talking.recv(4096):
                    pass
        ended = ()  # the next one is with the supervisor
        connection = connect(own.paths.supervisor_socket)
        assert connection is not None
    connection.close()
    assert own.supervisor == before
    assert job.cancel()


def test_a_message_that_means_nothing_ends_the_connection(own: Local) -> None:
    own.backend.run(Command(["true"])).result(30)
    before = own.supervisor
    for message in ({"op": "rescan", "backend": 999, "ack": 1}, {"op": "cancel"}, {"no": "op"}, 7):
        frames = speak(own)
        with pytest.raises(EOFError):
            say(frames, message)
        frames.close()
    frames = speak(own)
    answer = say(frames, {"op": "cancel", "ids": ["0" * 20], "ack": 3})
    assert (answer["accepted"], answer["ended"]) == ([], {})
    frames.close()
    assert own.supervisor == before


def test_who_cancels_what_waits_is_told_once_and_so_is_everybody_else(own: Local) -> None:
    gate = own.backend.run(Command(["sleep", "1000"]), cpus=2)
    until(gate.running, "it runs")
    ids = [job.job_id() for job in own.backend.run_many([Command(["true"])] * 1200)]
    asking, other = speak(own), speak(own)
    for frames in (asking, other):
        assert say(frames, {"op": "ping", "ack": 1})["ack"] == 1
    waiting = ids[2:]  # two are with the keeper, which starts them without asking
    answer = say(asking, {"op": "cancel", "ids": waiting, "ack": 2})
    assert (answer["ack"], answer["accepted"], answer["ended"]) == (2, [], dict.fromkeys(waiting, 1))
    (row,) = own.session.ledger.rows(waiting[:1]).values()
    assert (row.status.name, row.finished) == ("CANCELLED", answer["finished"])
    assert own.session.ledger.counts()["CANCELLED"] == len(waiting), "written before it is answered"
    told = other.receive()
    assert [(each["op"], sorted(each["ended"])) for each in told] == [("changed", sorted(waiting))]
    answer = say(asking, {"op": "cancel", "ids": [*ids, gate.job_id()], "ack": 3})
    assert answer["ack"] == 3, "it was told of nothing else"
    assert (sorted(answer["accepted"]), answer["ended"]) == (sorted([*ids[:2], gate.job_id()]), {})
    asking.close()
    other.close()


def test_an_answer_that_nobody_awaits_any_more_is_no_less_told(own: Local) -> None:
    """Ctrl-C may end the wait for the answer to a cancel: others wait for these jobs."""
    gate = own.backend.run(Command(["sleep", "1000"]), cpus=2)
    until(gate.running, "it runs")
    *_, job = own.backend.run_many([Command(["true"])] * 4)
    ended = threading.Event()
    job.add_done_callback(lambda _: ended.set())
    connection = own.backend._client._connected()
    with connection._send_lock:
        connection._frames.send({"op": "cancel", "ids": [job.job_id()], "ack": 1 << 40})
        connection._frames.flush()
    assert ended.wait(20)
    assert job._record.status.name == "CANCELLED"
    gate.cancel()


def test_a_client_that_never_reads_is_told_no_more(own: Local) -> None:
    """What it leaves unread is bounded; one that waits connects anew, and looks for itself."""
    code = f"{MAIN}clients.UNREAD = 100_000{RUN}"
    assert subprocess.run(command(own.paths, code), timeout=60).returncode == 0
    gate = own.backend.run(Command(["sleep", "1000"]), cpus=2)
    until(gate.running, "it runs")
    deaf = speak(own)
    for _ in range(4):
        jobs = own.backend.run_many([Command(["true"])] * 6_000)
        assert all(own.session.cancel(jobs))
    with pytest.raises(EOFError):  # noqa: PT012
        while True:
            deaf.receive()
    deaf.close()
    assert jobs[-1].outcome(60).status.name == "CANCELLED"


def test_an_older_supervisor_is_retired(own: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    job = own.backend.run(Command(["sh", "-c", "read x < $FIFO; echo on"], env={"FIFO": own.fifo}))
    until(job.running, "it runs")
    before = own.supervisor
    monkeypatch.setattr(client, "CLIENT_PROTOCOL", CLIENT_PROTOCOL + 1)
    newer = command(own.paths, f"{MAIN}clients.CLIENT_PROTOCOL += 1{RUN}")[1:]
    # Of both sessions: the one that waits for the job may be the first to start another supervisor.
    monkeypatch.setattr(RuntimePaths, "arguments", lambda *_, **__: newer)
    with own.another() as other:
        backend = other.get_backend("local")
        assert backend.run(Command(["true"])).result(30).exit_code == 0
        assert own.supervisor != before
        Path(own.fifo).write_text("go\n")
        assert other.get_job(job.job_id()).result(30).stdout.text() == "on\n"
    assert job.outcome(30).exit_code == 0  # who had the older one hears of it by the newer


def test_the_keeper_goes_on_with_the_newer_one(own: Local) -> None:
    """It started another older one again and again, each time that a newer client had sent one away."""
    job = own.backend.run(Command(["sh", "-c", "read x < $FIFO"], env={"FIFO": own.fifo}))
    until(job.running, "it runs")
    newer = command(own.paths, f"{MAIN}clients.CLIENT_PROTOCOL += 1{RUN}")
    own.backend.close()  # else it starts one itself

    def is_served(protocol: int, successor: list[str]) -> bool:
        """Tell whether this protocol is spoken, and send away who speaks another, as clients do."""
        with suppress(EOFError, OSError):
            if (connection := connect(own.paths.supervisor_socket)) is not None:
                with closing(FrameSocket(connection)) as frames:
                    if greet(frames, time.monotonic() + 30) == protocol:
                        return True
                    # Told while the keeper has not answered yet, on a busy machine, it is told in vain.
                    frames.send({"op": "shutdown", "successor": successor})
                    await_end(frames, time.monotonic() + 30)
        return False

    until(lambda: is_served(CLIENT_PROTOCOL + 1, newer), "the newer one serves")
    until(lambda: is_served(CLIENT_PROTOCOL, command(own.paths)), "one serves that this test can ask")
    Path(own.fifo).write_text("go\n")


def test_a_newer_supervisor_is_left_alone(own: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    own.backend.run(Command(["true"])).result(30)
    before = own.supervisor
    monkeypatch.setattr(client, "CLIENT_PROTOCOL", CLIENT_PROTOCOL - 1)
    with (
        own.another() as other,
        pytest.raises(BackendUnavailableError, match=r"newer anyjob.*upgrade anyjob"),
    ):
        other.get_backend("local").run(Command(["true"]))
    assert own.supervisor == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_other_users_are_refused(own: Local) -> None:
    own.backend.run(Command(["true"])).result(30)
    for path in (own.paths.supervisor_socket, own.paths.keeper_socket):
        assert path.stat().st_mode & 0o777 == 0o600
        os.chmod(path, 0o777)
    open_up = [own.paths.runtime, *own.paths.runtime.parents]
    modes = [(path, path.stat().st_mode) for path in open_up if path != Path("/")]
    for path, mode in modes:
        os.chmod(path, mode | 0o011)
    code = (
        "import os, socket, sys; os.setuid(12345); s = socket.socket(socket.AF_UNIX); s.settimeout(20)\n"
        "s.connect(sys.argv[1])\n"
        "try: print(s.recv(100))\n"
        "except ConnectionResetError: print(b'')"
    )
    for path in (own.paths.supervisor_socket, own.paths.keeper_socket):
        said = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60)
        assert said.stdout == "b''\n", said.stderr
    for path, mode in modes:
        os.chmod(path, mode)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_a_socket_that_another_user_serves_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    code = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.setuid(12345)\n"
        "s.listen(); print('ready', flush=True); s.accept()"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StateError, match="served by another user"):
            connect(path)
        other.kill()


def test_a_state_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    os.chmod(tmp_path / "state", 0o777)
    with pytest.raises(StateError, match="others may write"):
        RuntimePaths(tmp_path / "state")
    words = [
        sys.executable,
        "-m",
        "anyjob.builtin.local.supervisor.main",
        "--state",
        str(tmp_path / "state"),
    ]
    said = subprocess.run(
        [*words, "--runtime", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert said.returncode == 1
    assert "others may write" in said.stderr
    assert "Traceback" not in said.stderr


def test_why_a_supervisor_does_not_start_is_told(own: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        own.backend._paths,
        "arguments",
        lambda program, own_path: ["-c", "import sys; sys.exit('no luck')"],
    )
    with pytest.raises(BackendUnavailableError, match="does not start: no luck"):
        own.backend.run(Command(["true"]))
    assert own.session.jobs() == []


def test_one_that_hangs_is_reported_within_a_bound(own: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    own.backend.run(Command(["true"])).result(30)
    monkeypatch.setattr(client, "ANSWER", 0.2)
    pid = own.supervisor
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        with (
            own.another() as other,
            pytest.raises(BackendUnavailableError, match=rf"pid {pid}.*may be killed"),
        ):
            other.get_backend("local").run(Command(["true"]))
    finally:
        os.kill(pid, signal.SIGCONT)


def test_who_waits_is_told_of_one_that_was_stopped(
    own: Local, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """issue 14, 8: everything that waits says on what, after a while."""
    monkeypatch.setattr("anyjob.builtin.local.connection.QUIET", 0.2)
    job = own.backend.run(Command(["cat", own.fifo]))
    until(job.running, "it runs")
    pid = own.supervisor
    assert pid is not None
    waiting = threading.Thread(target=job.wait_for_final_state, daemon=True)
    waiting.start()
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: f"(pid {pid}) does not answer" in caplog.text, "the warning")
    finally:
        os.kill(pid, signal.SIGCONT)
    Path(own.fifo).write_text("done")
    waiting.join(60)
    assert job.result(timeout=60).stdout.text() == "done"


# --- it and the keeper --------------------------------------------------------------------------


def test_a_keeper_that_was_stopped_keeps_its_jobs(own: Local, caplog: pytest.LogCaptureFixture) -> None:
    """issue 14, 8: a new supervisor killed it after 30 s, and all that it ran was lost."""
    job = own.backend.run(Command(["cat", own.fifo]))
    until(job.running, "it runs")
    keeper = own.keeper
    assert keeper is not None
    os.kill(keeper, signal.SIGSTOP)
    try:
        own.session.close()
        own.kill("supervisor")
        code = f"{MAIN}keeper_link.PATIENCE = keeper_link.SILENCE = 0.2{RUN}"
        assert subprocess.run(command(own.paths, code), timeout=60).returncode == 0
        with own.another() as other:
            later = other.get_backend("local").run(Command(["true"]))
            waiting = threading.Thread(target=later.wait_for_final_state, daemon=True)
            waiting.start()
            until(lambda: f"(pid {keeper}) has not answered" in caplog.text, "who waits is told")
            with pytest.raises(BackendUnavailableError, match=rf"pid {keeper}.*kill -CONT"):
                later.cancel()
            assert own.keeper == keeper
            os.kill(keeper, signal.SIGCONT)
            waiting.join(60)
            assert later.result(60).exit_code == 0
            Path(own.fifo).write_text("done")
            assert other.get_job(job.job_id()).result(60).stdout.text() == "done"
    finally:
        os.kill(keeper, signal.SIGCONT)


def test_jobs_outlive_the_directory_of_the_sockets(own: Local) -> None:
    """It goes when its user logs out (XDG_RUNTIME_DIR); a new supervisor lost what the keeper ran."""
    job = own.backend.run(Command(["cat", own.fifo]))
    until(job.running, "it runs")
    keeper, supervisor, before = own.keeper, own.supervisor, own.paths.runtime
    shutil.rmtree(before)
    with tempfile.TemporaryDirectory() as elsewhere, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", elsewhere)
        with own.another() as other:
            assert other.get_backend("local").run(Command(["true"])).result(60).exit_code == 0
            assert own.supervisor not in (None, supervisor)
            assert own.keeper == keeper
            Path(own.fifo).write_text("done")
            assert other.get_job(job.job_id()).result(60).stdout.text() == "done"
        assert job.result(60).stdout.text() == "done"  # of a client that was connected before


def test_a_keeper_on_the_log_of_one_that_died_is_put_away(own: Local) -> None:
    """What ran under the dead one is accounted for, as after any other death of a keeper."""
    job = own.backend.run(Command(["sleep", "1000"]))
    until(job.running, "it runs")
    own.session.close()
    own.kill("supervisor")
    own.kill("keeper")
    late = keeper_startup._start_keeper(own.paths)
    until(lambda: own.keeper == late.pid, "it has the lock")
    until(lambda: replay(own.paths.keeper_log.read_bytes()).lost, "it has written")
    with own.another() as other:
        assert other.get_job(job.job_id()).outcome(30).reason == "lost"
    assert late.wait(30) == -signal.SIGKILL
    assert not own.marked()


def test_the_log_is_compacted(own: Local) -> None:
    code = f"{MAIN}keeper_link.COMPACT = 2000{RUN}"
    assert keeper_link.COMPACT > 2000
    assert subprocess.run(command(own.paths, code), timeout=60).returncode == 0
    for job in own.backend.run_many([Command(["true"])] * 100):
        job.result(30)

    def is_compacted() -> bool:
        own.backend.run(Command(["true"])).result(30)  # the last time may have been while many ran
        return own.paths.keeper_log.stat().st_size < 4000

    until(is_compacted, "it is compacted")
    job = own.backend.run(Command(["sleep", "1000"]))
    until(job.running, "it runs")
    own.kill("supervisor")
    assert job.cancel()
    assert job.outcome(30).status.name == "CANCELLED"
    assert job.outcome().attempt == 1


def test_our_programs_get_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("ANYJOB_JOB_ID", "0" * 20)
    assert "PATH" in program_environment()
    assert not {"AWS_SECRET_ACCESS_KEY", "ANYJOB_JOB_ID"} & set(program_environment())


def test_a_lock_tells_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert lock_holder(path) is None
    code = "import sys; from anyjob.builtin.local.locks import take_lock; from pathlib import Path\n"
    code += "take_lock(Path(sys.argv[1])); print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert lock_holder(path) == other.pid
        other.kill()
    assert lock_holder(path) is None


def test_a_holder_in_another_pid_namespace_is_not_killed(tmp_path: Path) -> None:
    """To who cannot see it the kernel says that its pid is 0, which to ``kill`` is a whole process group."""
    path = tmp_path / "keeper.lock"
    ours = take_lock(path)
    assert ours is not None
    code = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from anyjob.builtin.local.locks import lock_holder
from anyjob.builtin.local.supervisor.keepers import keeper_startup
from anyjob.errors import StateError
lock = Path(sys.argv[1])
print(lock_holder(lock), flush=True)
try:
    keeper_startup._kill_keeper(SimpleNamespace(keeper_lock=lock))
except StateError as error:
    print(error)
"""
    inside = ["unshare", "--fork", "--pid", "--mount-proc", sys.executable, "-c", code, str(path)]
    try:
        found = subprocess.run(
            inside,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            start_new_session=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        os.close(ours)
    if "unshare" in found.stderr and "Traceback" not in found.stderr:
        pytest.skip(f"no pid namespace can be made here: {found.stderr.strip()}")
    assert found.returncode == 0, found.stderr
    holder, told = found.stdout.splitlines()
    assert holder == "0"
    assert "end it there" in told


def test_what_clients_say_has_a_version() -> None:
    """A change of it is to be noticed here."""
    hello = b"\x80\x04}(\x8c\x02op\x8c\x05hello\x8c\x08protocolK\x01u."
    assert CLIENT_PROTOCOL == 6
    assert plain_data.loads(hello) == {"op": "hello", "protocol": 1}
