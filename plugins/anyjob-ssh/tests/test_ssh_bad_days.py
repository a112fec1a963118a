"""Bad days, with a real sshd: what the user is told, and that nothing runs twice.

Where a minute or half of one would have to be waited for, the limits are a second or two.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import ssh_lab
import ssh_network
from anyjob_ssh.backend import SshBackend

import anyjob
from anyjob import BackendAuthError, BackendUnavailableError, Command, JobStatus, JobTimeoutError
from anyjob.remote.near import backend as remote_backend
from anyjob.remote.near import bulks
from anyjob.remote.near.channel import Channel

pytestmark = pytest.mark.engine("ssh")

Make = Callable[..., SshBackend]
OwnServer = Callable[..., ssh_lab.Server]
SHORT = {"timeout": 2, "ssh_options": ["ServerAliveInterval=1", "ServerAliveCountMax=1"]}
"""Two seconds without a word, and ssh takes the other end for gone; by default, 20."""
GONE = "exec anyjob serve --stdio --patience 2s"
"""Two seconds without a word, and the program there ends; by default, 30."""


class Marks:
    """Jobs that leave a mark each time that they run."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir()

    def command(self, then: str = "echo on") -> Command:
        return Command(["sh", "-c", f'echo . >> "$0/$ANYJOB_JOB_ID"; {then}', str(self._directory)])

    def once(self, *jobs: anyjob.TaskJob) -> None:
        """Wait for jobs; each has succeeded, and none has run twice, nor has another one run."""
        anyjob.wait(jobs, 120)
        assert {job.outcome(1).status for job in jobs} == {JobStatus.DONE}
        ran = {path.name: path.read_text() for path in self._directory.iterdir()}
        assert ran == {job.job_id(): ".\n" for job in jobs}


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    return Marks(tmp_path / "marks")


@pytest.fixture
def wire() -> Iterator[ssh_network.Wire]:
    why = ssh_network.missing()
    if why:
        pytest.skip(why)
    made = ssh_network.Wire()
    yield made
    made.close()


@pytest.fixture
def far(wire: ssh_network.Wire, own_server: OwnServer) -> ssh_lab.Server:
    """A machine at the other end of the wire."""
    return own_server(inside=wire.inside, address=wire.there)


# --- the network ------------------------------------------------------------------------------------------


def test_silence_that_is_shorter_than_the_limits_is_nothing(
    make: Make, far: ssh_lab.Server, wire: ssh_network.Wire, marks: Marks
) -> None:
    backend = make(**far.options())
    job = backend.run(marks.command("sleep 1; echo on"))
    pid = backend.hello().pid
    with wire.silent(), pytest.raises(JobTimeoutError):
        job.result(2)
    assert job.result(60).stdout.text() == "on\n"
    assert backend.hello().pid == pid
    marks.once(job)


def test_silence_that_is_longer_is_told_and_waits_go_on(
    make: Make, far: ssh_lab.Server, wire: ssh_network.Wire, marks: Marks
) -> None:
    """For good, for whoever asks meanwhile; for a minute, for whoever waits."""
    backend = make(**far.options(**SHORT))
    job = backend.run(marks.command())
    channel = backend.channel()
    with wire.silent():
        with pytest.raises(BackendUnavailableError, match=r"lost: Timeout, server .* not responding"):
            channel.ask("find", remote_backend.JobIds("local", [job.job_id()]))
        with pytest.raises(BackendUnavailableError, match=r"timed out(.|\n)*cannot be reached now"):
            backend.run(Command(["true"]))
        with pytest.raises(JobTimeoutError):
            job.result(1)
        assert backend.status().operational is False
    marks.once(job)


@pytest.mark.parametrize("how", ["silent", "down"])
def test_a_wire_that_is_cut_while_a_bulk_is_in_flight(
    make: Make,
    far: ssh_lab.Server,
    wire: ssh_network.Wire,
    marks: Marks,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """Some is there and was not answered, some is not there: each runs, and once, when the wire is whole."""
    backend = make(**far.options(**SHORT))
    cut = getattr(wire, how)()
    sent: list[str] = []
    send = Channel.send

    def send_and_cut(channel: Channel, word: str, body: object) -> object:
        answer = send(channel, word, body)
        sent.append(word)
        if sent.count("submit") == 2 and word == "submit":
            cut.__enter__()
        return answer

    monkeypatch.setattr(bulks, "BULK", 10)
    monkeypatch.setattr(Channel, "send", send_and_cut)
    jobs = backend.run_many([marks.command()] * 50)
    assert sent.count("submit") >= 2  # or the wire was never cut
    cut.__exit__(None, None, None)
    marks.once(*jobs)


def test_an_sshd_that_is_full_is_tried_again(make: Make, own_server: OwnServer, marks: Marks) -> None:
    """MaxStartups: who is let in nowhere is told, and gets in as soon as there is room."""
    server = own_server("MaxStartups 1:100:1", "LoginGraceTime 0")
    backend = make(**server.options())
    job = backend.run(marks.command("sleep 1"))
    channel = backend.channel()
    with socket.create_connection((server.address, server.port)) as knocks:
        assert knocks.recv(100).startswith(b"SSH-")  # it is the one that may be at the door
        server.kill_agents()
        until(lambda: not channel.is_open, "the end of the connection")
        with pytest.raises(BackendUnavailableError, match="cannot be reached now"):
            backend.hello()
        with pytest.raises(JobTimeoutError):
            job.outcome(0.5)
    marks.once(job)


# --- who is stopped ---------------------------------------------------------------------------------------

CLIENT = """
    import anyjob
    session = anyjob.Session(
        config=anyjob.Config.from_dict({"backends": {"far": {"type": "ssh", **OPTIONS}}}, origin="a test"),
        state=STATE,
    )
    backend = session.get_backend("far")
    print(backend.run(anyjob.Command(["sh", "-c", "echo . >> RAN"])).result(60).exit_code, flush=True)
    input()
    print(backend.run(anyjob.Command(["sh", "-c", "echo . >> RAN"])).result(60).exit_code, flush=True)
"""


@pytest.mark.parametrize("stopped", ["the program", "the program and its ssh"])
def test_a_client_that_was_stopped_for_long_goes_on(
    own_server: OwnServer, tmp_path: Path, stopped: str
) -> None:
    """Ctrl-Z stops the program; the sleep of a laptop stops its ssh, too. The other end leaves meanwhile."""
    server = own_server()
    ran = tmp_path / "ran"
    options = dict(server.options(command=GONE))
    script = textwrap.dedent(CLIENT).replace("OPTIONS", repr(options)).replace("RAN", str(ran))
    script = script.replace("STATE", repr(str(tmp_path / "near")))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "0\n"
        pids = [client.pid]
        if stopped != "the program":
            pids += server._commands(os.fsencode(server.config))
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        until(lambda: not server.agents(), "the end of the program there")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        told, _ = client.communicate("\n", timeout=90)
    assert told == "0\n"
    assert ran.read_text() == ".\n.\n"


# --- who asks for more ------------------------------------------------------------------------------------


@pytest.fixture
def second_factor(own_server: OwnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssh_lab.Server:
    """A machine that wants a key and a password; and a program that knows it, if it is asked."""
    why = ssh_network.missing() or ("" if shadow().is_file() else "there is no /etc/shadow")
    if why:
        pytest.skip(why)
    crypted = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input="geheim\n", capture_output=True, text=True, check=True
    ).stdout.strip()
    told = re.sub(r"(?m)^root:[^:]*:", lambda _: f"root:{crypted}:", shadow().read_text())
    copy = tmp_path / "shadow"
    copy.write_text(told)
    copy.chmod(0o600)
    askpass = tmp_path / "askpass"
    askpass.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/asked\necho geheim\n')
    askpass.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(askpass))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    return own_server(
        "AuthenticationMethods publickey,password",
        "PasswordAuthentication yes",
        "PermitRootLogin yes",
        inside=("unshare", "--mount", "sh", "-c", f'mount --bind {copy} {shadow()} && exec "$@"', "sh"),
    )


def shadow() -> Path:
    return Path("/etc/shadow")


def test_a_second_factor_is_asked_for_by_ssh_itself(
    make: Make, second_factor: ssh_lab.Server, tmp_path: Path
) -> None:
    server = second_factor
    with pytest.raises(BackendAuthError, match=r"Permission denied \(password\)(.|\n)*remote login lab"):
        make(**server.options()).run(Command(["true"]))
    assert not (tmp_path / "asked").exists()
    backend = make(**server.options(ssh_options=["BatchMode=no"]))
    assert backend.run(Command(["echo", "on"])).result(60).stdout.text() == "on\n"
    assert "password:" in (tmp_path / "asked").read_text()


# --- no room there ----------------------------------------------------------------------------------------


def test_a_disk_that_is_full_there_is_told_and_nothing_is_lost(
    make: Make, own_server: OwnServer, marks: Marks, caplog: pytest.LogCaptureFixture
) -> None:
    why = ssh_network.missing()
    if why:
        pytest.skip(why)
    server = own_server()
    server.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "far", server.state], check=True)
    try:
        backend = make(**server.options())
        before = backend.run(marks.command())
        before.result(60)
        fills = backend.run(Command(["sh", "-c", "head -c 9000000 /dev/zero > $ANYJOB_SPOOL/filler"]))
        until(lambda: "full" in caplog.text, "a word of the disk")
        assert f"{backend.hello().host}: jobs of the local backend do not go on" in caplog.text
        during = backend.run(marks.command())
        for filler in server.state.rglob("filler"):
            filler.unlink()
        assert fills.outcome(60).exit_code != 0
        marks.once(before, during, backend.run(marks.command()))
    finally:
        server.close()
        subprocess.run(["umount", "--lazy", server.state], check=True)


def until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.05)
