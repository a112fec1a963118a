"""What ssh and login shells say: what it means is a table, held against what the real ones say."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import ssh_lab
from anyjob_ssh import command_line, ssh_errors
from anyjob_ssh.backend import SshBackend
from anyjob_ssh.options import SshOptions

from anyjob import BackendAuthError, BackendError, BackendUnavailableError, Command, ConfigError
from anyjob.sdk import Ending

Make = Callable[..., SshBackend]
OwnServer = Callable[..., ssh_lab.Server]
AWAY, AUTH, BROKEN = BackendUnavailableError, BackendAuthError, BackendError

SAID = [
    (255, "No ED25519 host key is known for [h]:22 …\nHost key verification failed.", AUTH, "fingerprint"),
    (255, "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", AUTH, "-R"),
    (255, "lab@h: Permission denied (publickey).", AUTH, "ssh-add"),
    (255, "lab@h: Permission denied (keyboard-interactive).", AUTH, "remote login"),
    (255, "Received disconnect from h: Too many authentication failures", AUTH, "ssh-add"),
    (255, "ssh: connect to host h port 22: Connection refused", AWAY, "cannot be reached"),
    (255, "ssh: connect to host h port 22: No route to host", AWAY, "cannot be reached"),
    (255, "ssh: connect to host h port 22: Network is unreachable", AWAY, "cannot be reached"),
    (255, "ssh: Could not resolve hostname h: Temporary failure in name resolution", AWAY, "name right"),
    (255, "Timeout, server h not responding.", AWAY, "cannot be reached"),
    (255, "kex_exchange_identification: Connection closed by remote host", AWAY, "cannot be reached"),
    (255, "kex_exchange_identification: read: Connection reset by peer", AWAY, "cannot be reached"),
    (
        255,
        "channel 0: open failed: connect failed: No route to host\nstdio forwarding failed",
        AWAY,
        "reached",
    ),
    (255, "Connection timed out during banner exchange", AWAY, "cannot be reached"),
    (255, "client_loop: send disconnect: Broken pipe", AWAY, "cannot be reached"),
    (255, "Connection to h closed by remote host.", AWAY, "cannot be reached"),
    (255, "", AWAY, "ended with 255"),
    (255, "ControlPath too long ('/x' >= 108 bytes)", BROKEN, "ControlPath"),
    (255, 'unix_listener: path "/x.abc" too long for Unix domain socket', BROKEN, "ControlPath"),
    (255, "unix_listener: cannot bind to path /x: No such file or directory", BROKEN, "ControlPath"),
    (255, "/h/.ssh/config: line 1: Bad configuration option: foo", BROKEN, "configuration"),
    (127, "bash: line 1: exec: python3.6: not found", BROKEN, "remote install"),
    (127, "sh: 1: exec: anyjob: not found", BROKEN, "remote install"),
    (127, "fish: Unknown command: python3.6", BROKEN, "remote install"),
    (1, "python3.6: Command not found.", BROKEN, "remote install"),
    (1, "/usr/bin/python3: No module named anyjob", BROKEN, "remote install"),
    (1, "rbash: line 1: exec: restricted", BROKEN, "restricted"),
    (7, "", BROKEN, "ended with 7"),
]


HOST = SshOptions(host="h")


@pytest.mark.parametrize(("code", "said", "error", "hint"), SAID, ids=[said[:50] for _, said, _, _ in SAID])
def test_words_of_ssh_mean(code: int, said: str, error: type[BackendError], hint: str) -> None:
    """As OpenSSH 9.2 and the login shells of Debian 12 were heard to say them."""
    found = ssh_errors.explain(HOST, Ending(code, said, "", 1.0))
    assert type(found) is error
    assert hint in str(found)
    assert said in str(found)


def test_what_a_login_shell_prints_means_something_too() -> None:
    nologin = Ending(1, "", "This account is currently not available.\n", 1.0)
    assert type(ssh_errors.explain(HOST, nologin)) is BackendAuthError
    assert "ForceCommand" in str(ssh_errors.explain(HOST, Ending(0, "", "Welcome to git", 1.0)))
    silent = ssh_errors.explain(HOST, Ending(None, "", "", 20.0))
    assert isinstance(silent, BackendUnavailableError)
    assert "within 20 s" in str(silent)
    assert ".bashrc" in str(silent)


def test_the_way_out_is_by_the_backend_that_has_the_options() -> None:
    """`anyjob remote install h` would have asked ssh without the file that knows the host."""
    options = SshOptions(host="h", config="/etc/lab")
    missing = str(ssh_errors.explain(options, Ending(127, "sh: exec: anyjob: not found", "", 1.0), "far"))
    assert "`anyjob remote install far`" in missing
    unknown = str(ssh_errors.explain(options, Ending(255, "Host key verification failed.", "", 1.0), "far"))
    assert "`ssh -F /etc/lab h` once" in unknown


def test_what_would_move_a_cursor_is_not_shown() -> None:
    assert "\x1b" not in str(ssh_errors.explain(HOST, Ending(7, "", "\x1b[2J\x1b]0;x\x07" + "x" * 5000, 1.0)))


def test_the_command_line_is_constant_and_asks_nothing() -> None:
    found = command_line.channel_arguments(SshOptions(host="me@login", ssh_options=("ProxyJump=gate",)))
    assert found[:2] == ["ssh", "-T"]
    assert found[-3:] == ["--", "me@login", command_line.COMMAND]
    assert {"BatchMode=yes", "ServerAliveInterval=5", "ServerAliveCountMax=3", "ProxyJump=gate"} < set(found)
    own = command_line.channel_arguments(SshOptions(host="h", ssh_options=("BatchMode=no",)))
    assert own.index("BatchMode=no") < own.index("BatchMode=yes")  # ssh takes the first
    sent = command_line.ssh_environment({"LANG": "de_DE", "LC_ALL": "C", "SSH_AUTH_SOCK": "/x"})
    assert sent == {"SSH_AUTH_SOCK": "/x"}


@pytest.mark.parametrize(
    "options",
    [
        {"host": "-oProxyCommand=x"},
        {"host": ""},
        {"host": "h", "python": "py'thon"},
        {"host": "h", "python": "a b"},
        {"host": "h", "command": "two\nlines"},
        {"host": "h", "python": "python3", "command": "x"},
    ],
)
def test_options_that_could_be_more_than_they_say_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        SshOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("shell", ["bash", "dash", "csh", "tcsh", "fish"])
def test_each_login_shell_takes_the_command_line(shell: str, tmp_path: Path) -> None:
    """One word in single quotes, read the same by all of them."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    (tmp_path / "anyjob").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "anyjob").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    for line in (command_line.COMMAND, f"exec {tmp_path}/anyjob -m anyjob serve --stdio"):
        done = subprocess.run(
            [program, "-c", line], capture_output=True, text=True, env=environment, timeout=30
        )
        assert done.stdout.endswith("serve --stdio\n"), done.stderr


# --- what the real ones do --------------------------------------------------------------------------------


def fails(backend: SshBackend, error: type[BackendError], words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        backend.run(Command(["true"]))
    assert type(raised.value) is error


@pytest.mark.engine("ssh")
def test_keys_that_are_not_right_leave_jobs_as_they_are(
    make: Make, own_server: OwnServer, tmp_path: Path
) -> None:
    """aiida-core#3929: a key that is refused is no failure of a job."""
    server = own_server()
    backend = make(**server.options(timeout=20))
    job = backend.run(Command(["sh", "-c", "sleep 1; echo on"]))
    backend.channel().close()
    known = server.known_hosts.read_text()
    server.known_hosts.write_text("")
    fails(backend, BackendAuthError, "Host key verification failed")
    with pytest.raises(BackendAuthError):
        job.result(30)
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "x", "-f", str(tmp_path / "other")]
    subprocess.run(keygen, check=True)
    public = (tmp_path / "other.pub").read_text().split()[:2]
    server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {' '.join(public)}\n")
    fails(backend, BackendAuthError, "has changed")
    server.known_hosts.write_text(known)
    server.write_config(IdentityFile=str(tmp_path / "other"))  # with a passphrase, and no agent
    fails(backend, BackendAuthError, "Permission denied")
    server.write_config()
    assert job.result(60).stdout.text() == "on\n"


@pytest.mark.engine("ssh")
def test_login_shells_that_are_not_clean(make: Make, own_server: OwnServer) -> None:
    server = own_server()
    bashrc = server.home / ".bashrc"
    bashrc.write_text("echo '*** Welcome ***'\n")
    assert make(**server.options()).run(Command(["echo", "on"])).result(60).stdout.text() == "on\n"
    bashrc.write_text("read -p 'project? ' line\n")
    fails(make(**server.options(timeout=2)), BackendUnavailableError, r"nothing came within")
    bashrc.write_text("exit 7\n")
    fails(make(**server.options()), BackendError, "ended with 7")
    bashrc.unlink()
    (server.bin / "anyjob").unlink()
    fails(make(**server.options()), BackendError, "remote install lab")


@pytest.mark.engine("ssh")
@pytest.mark.parametrize(
    ("command", "error", "words"),
    [
        ("echo something else", BackendError, "ForceCommand"),
        ("/usr/sbin/nologin", BackendAuthError, "not available"),
        ('rbash -c "$SSH_ORIGINAL_COMMAND"', BackendError, "restricted"),
    ],
)
def test_accounts_that_run_something_else(
    make: Make, own_server: OwnServer, command: str, error: type[BackendError], words: str
) -> None:
    fails(make(**own_server(f"ForceCommand {command}").options()), error, words)


@pytest.mark.engine("ssh")
@pytest.mark.parametrize("shell", ["csh", "tcsh", "dash"])
def test_work_by_way_of_another_login_shell(make: Make, own_server: OwnServer, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    server = own_server(f'ForceCommand {shell} -c "$SSH_ORIGINAL_COMMAND"')
    assert make(**server.options()).run(Command(["echo", "on"])).result(60).stdout.text() == "on\n"


@pytest.mark.engine("ssh")
def test_sshd_that_is_restarted_keeps_its_sessions(make: Make, own_server: OwnServer) -> None:
    server = own_server()
    backend = make(**server.options())
    pid = backend.hello().pid
    server.stop()
    assert backend.run(Command(["echo", "on"])).result(60).stdout.text() == "on\n"
    server.start()
    assert backend.hello().pid == pid
