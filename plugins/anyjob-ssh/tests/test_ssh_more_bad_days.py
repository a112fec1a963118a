"""More bad days, with a real sshd: those of logging in, of a terminal, and of the machine itself."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import ssh_lab
from anyjob_ssh import command_line
from anyjob_ssh.backend import SshBackend
from anyjob_ssh.options import SshOptions

from anyjob import BackendError, Command, JobStatus

pytestmark = pytest.mark.engine("ssh")

Make = Callable[..., SshBackend]
OwnServer = Callable[..., ssh_lab.Server]


def test_a_master_that_is_full_is_gone_round(
    make: Make, own_server: OwnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MaxSessions: ssh makes a connection of its own then."""
    server = own_server("MaxSessions 1")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    options = SshOptions(host="lab", config=str(server.config))
    login = command_line.login_arguments(options, 1)
    assert subprocess.run(login, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    master = ["ssh", "-F", str(server.config), "-o", f"ControlPath={command_line.master_path(options)}"]
    try:
        with subprocess.Popen(
            [*master, "lab", "echo in; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as only:
            assert only.stdout is not None
            assert only.stdout.readline() == b"in\n"
            assert make(**server.options()).run(Command(["echo", "on"])).result(60).stdout.text() == "on\n"
            assert only.stdin is not None
            only.stdin.close()
    finally:
        subprocess.run([*master, "-O", "exit", "lab"], capture_output=True)


def test_a_control_path_that_is_too_long_is_told(make: Make, server: ssh_lab.Server) -> None:
    path = f"/tmp/{'long' * 30}"
    backend = make(**server.options(ssh_options=[f"ControlPath={path}", "ControlMaster=auto"]))
    with pytest.raises(BackendError, match=r"(?s)too long.*ControlPath ~/.ssh/%C"):
        backend.hello()


def test_an_interpreter_that_is_missing_or_too_old_is_told(make: Make, server: ssh_lab.Server) -> None:
    with pytest.raises(BackendError, match=r"(?s)No such file.*name the interpreter"):
        make(**server.options(python="~/no/python")).hello()
    source = shlex.quote("from __future__ import no_such_feature")
    old = f"{sys.executable} -c {source}"  # what one says that does not know `annotations` yet
    with pytest.raises(BackendError, match=r"(?s)SyntaxError: future feature .*the Python there is too old"):
        make(**server.options(command=old)).hello()


CLIENT = """
    import sys, time, anyjob
    backend = anyjob.Session(
        config=anyjob.Config.from_dict({"backends": {"far": {"type": "ssh", **OPTIONS}}}, origin="a test"),
        state=STATE,
    ).get_backend("far")
    pid = backend.hello().pid
    try:
        print("waits", flush=True)
        backend.run(anyjob.Command(["sleep", "1000"])).result()
    except KeyboardInterrupt:
        pass
    print(backend.run(anyjob.Command(["echo", "on"])).result(60).stdout.text(), backend.hello().pid == pid)
"""


def test_ctrl_c_in_the_program_does_not_end_the_channel(server: ssh_lab.Server, tmp_path: Path) -> None:
    script = textwrap.dedent(CLIENT).replace("OPTIONS", repr(dict(server.options())))
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + script.replace(
        "STATE", repr(str(tmp_path / "near"))
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "waits\n"
        os.killpg(client.pid, signal.SIGINT)  # as a terminal does: to all of its foreground
        told, _ = client.communicate(timeout=90)
    assert told == "on\n True\n"


@pytest.mark.parametrize("apart", [3600, -3600])
def test_clocks_an_hour_apart_hold_nothing_up(make: Make, server: ssh_lab.Server, apart: int) -> None:
    script = (
        f"import time; real = time.time; time.time = lambda: real() + {apart}; "
        "from anyjob.remote.far.server import serve; serve(30)"
    )
    backend = make(**server.options(command=f"{sys.executable} -c {shlex.quote(script)}"))
    assert abs(backend.hello().time - apart - backend.hello().time) == abs(apart)
    job = backend.run(Command(["sh", "-c", "echo $ANYJOB_ATTEMPT; exit 3"]), retries=1, walltime="1m")
    assert job.outcome(60).exit_code == 3
    assert [each.number for each in job.attempts()] == [1, 2]


def test_a_state_directory_that_is_moved_away_while_one_is_connected(
    make: Make, own_server: OwnServer, tmp_path: Path
) -> None:
    """What it had is lost, and said to be; what comes next runs, over the same connection and the next."""
    server = own_server()
    backend = make(**server.options())
    backend.grace = 0.0  # type: ignore[misc]
    ran = tmp_path / "ran"
    job = backend.run(Command(["sh", "-c", f"echo . >> {ran}; echo begun; exec sleep 1000"]))
    next(job.logs(follow=True))
    server.state.rename(server.home / "away")
    assert job.outcome(60).reason == "lost"
    assert backend.run(Command(["echo", "on"])).result(60).stdout.text() == "on\n"
    backend._connection.close()
    assert backend.run(Command(["echo", "on"])).outcome(60).status is JobStatus.DONE
    assert ran.read_text() == ".\n"


def test_what_runs_there_goes_on_while_anyjob_is_replaced_there(
    make: Make, own_server: OwnServer, tmp_path: Path
) -> None:
    """By one of another protocol, and then by one of ours."""
    server = own_server()
    program = server.bin / "anyjob"
    ours, ran, go = program.read_text(), tmp_path / "ran", tmp_path / "go"
    backend = make(**server.options())
    until = f'echo . | tee -a {ran}; until [ -e "{go}" ]; do sleep 0.1; done'
    job = backend.run(Command(["sh", "-c", until]))
    next(job.logs(follow=True))
    code = "from anyjob.remote.far import server; server.PROTOCOL = 2; server.serve(30)"
    program.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(code)}\n")
    server.kill_agents()
    backend._connection.close()  # its end may not have been heard yet
    for ask in (backend.hello, lambda: backend.run(Command(["true"]))):
        with pytest.raises(BackendError, match=r"of protocol 2, .* of protocol 1: install the same version"):
            ask()
    go.touch()
    program.write_text(ours)
    assert job.outcome(60).status is JobStatus.DONE
    assert ran.read_text() == ".\n"
