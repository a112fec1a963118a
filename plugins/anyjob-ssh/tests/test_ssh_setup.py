"""Setting another machine up, from nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ssh_lab
from anyjob_ssh import check, command_line, installation
from anyjob_ssh.backend import SshBackend
from anyjob_ssh.options import SshOptions

import anyjob
from anyjob import BackendError, Command, ConfigError
from anyjob.sdk import Hello

Make = Callable[..., SshBackend]
OwnServer = Callable[..., ssh_lab.Server]
Cli = Callable[..., subprocess.CompletedProcess[str]]
VERSION = anyjob.__version__


def test_what_is_installed_is_said_in_lines_that_every_shell_reads() -> None:
    lines = installation.plan("/usr/bin/python3.12", ["anyjob==1.0", "anyjob-slurm>=0.1"], None)
    assert lines[0].shell == '"/usr/bin/python3.12" -m venv "$HOME/.local/share/anyjob/venv"'
    assert lines[1].shell.endswith('--upgrade "anyjob==1.0" "anyjob-slurm>=0.1"')
    assert not any(set("'!\n") & set(line.shell) for line in lines)


@pytest.mark.parametrize(
    "requirement", ["-e .", "a b", 'x"; rm -rf ~; "', "x$(id)", "x`id`", "--index-url=x", ""]
)
def test_a_requirement_that_is_none_is_refused(requirement: str) -> None:
    with pytest.raises(BackendError, match="is no requirement"):
        installation.plan("python3", [requirement], None)


def test_wheels_that_are_not_there_are_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="pip download -d"):
        installation.plan("python3", ["anyjob"], tmp_path)


@pytest.mark.parametrize(
    ("changed", "step", "state", "words"),
    [
        ({}, "clock", "ok", "as here"),
        ({"time": 4600.0}, "clock", "note", "3600 s ahead"),
        ({"python": "3.9.1"}, "python", "note", "functions of __main__"),
        ({"anyjob": "0.0.1"}, "anyjob", "note", "here it is"),
        ({"free": 1 << 20}, "space", "note", "0.0 GiB free"),
        ({"default": "other"}, "backends", "note", "not configured there"),
    ],
)
def test_each_step_says_what_is_to_be_thought_of_it(
    changed: dict[str, object], step: str, state: str, words: str
) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}.0"
    told = {"protocol": 1, "anyjob": VERSION, "python": here, "time": 1000.0, "free": 1 << 40, **changed}
    hello = Hello(**told)  # type: ignore[arg-type]
    found = {each.name: each for each in check.judge(hello, SshOptions(host="h"), 1000.0)}[step]
    assert found.state == state
    assert words in found.message


@pytest.mark.engine("ssh")
def test_a_machine_without_anyjob_gets_it(own_server: OwnServer, tmp_path: Path) -> None:
    """By wheels that are carried over, where that machine reaches no index."""
    server = own_server()
    (server.bin / "anyjob").unlink()
    python = server.bin / "python3.13"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    name = f"anyjob-{VERSION}"
    with zipfile.ZipFile(tmp_path / f"{name}-py3-none-any.whl", "w") as wheel:
        info = f"anyjob-{VERSION}.dist-info"
        wheel.writestr("anyjob.py", f"def main(): print('anyjob {VERSION} (carried over)')\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: anyjob\nVersion: {VERSION}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\nanyjob = anyjob:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    options = SshOptions(host="lab", config=str(server.config))
    found = installation.run_there(options, installation.Line("find", installation.FIND_PYTHON))
    assert found == str(python)
    for line in installation.plan(found, [f"anyjob=={VERSION}"], tmp_path):
        said = installation.run_there(options, line)
    assert said == f"anyjob {VERSION} (carried over)"
    assert (server.home / command_line.INSTALLED / "bin" / "anyjob").exists()


def test_a_home_with_a_long_path_has_its_socket_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SshOptions(host="lab")
    monkeypatch.setenv("HOME", f"/{'home' * 30}")
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        path = command_line.master_path(options)
        assert Path(path).parent == Path(short)
        assert f"ControlPath={path}" in command_line.login_arguments(options, 1)
        Path(short).chmod(0o777)
        with pytest.raises(ConfigError, match="set XDG_RUNTIME_DIR to a directory of your own"):
            command_line.login_arguments(options, 1)
    monkeypatch.setenv("HOME", "/home/me")
    assert command_line.master_path(options).startswith("/home/me/.ssh/anyjob-")


@pytest.fixture
def logged_in(
    own_server: OwnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ssh_lab.Server]:
    """A machine that lets nobody in any more, and a connection to it that is kept."""
    server = own_server()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    options = SshOptions(host="lab", config=str(server.config))
    done = subprocess.run(
        command_line.login_arguments(options, 1), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert done.returncode == 0
    (server.directory / "authorized_keys").write_text("")
    yield server
    stop = [
        "ssh",
        "-F",
        str(server.config),
        "-o",
        f"ControlPath={command_line.master_path(options)}",
        "-O",
        "exit",
    ]
    subprocess.run([*stop, "lab"], capture_output=True)


@pytest.mark.engine("ssh")
def test_who_has_logged_in_once_is_asked_no_more(make: Make, logged_in: ssh_lab.Server) -> None:
    """dask-jobqueue#257: a second factor is asked for once, by ssh itself."""
    backend = make(**logged_in.options())
    assert backend.run(Command(["echo", "on"])).result(60).stdout.text() == "on\n"
    assert os.path.exists(command_line.master_path(backend.options))


@pytest.mark.engine("ssh")
def test_each_step_of_a_check_is_told(
    server: ssh_lab.Server, anyjob_cli: Cli, anyjob_environment: Path
) -> None:
    config = anyjob_environment / "anyjob.toml"
    options = "".join(f"{key} = {value!r}\n" for key, value in server.options().items())
    away = 'type = "ssh"\nhost = "127.0.0.1"\nssh_options = ["Port=1"]\n'
    config.write_text(f'[backends.far]\ntype = "ssh"\n{options}[backends.away]\n{away}')
    done = anyjob_cli("remote", "check", "far")
    assert [line.split(":")[:2] for line in done.stdout.splitlines()] == [
        [step, " ok"] for step in ("log in", "shell", "python", "anyjob", "backends", "clock", "space")
    ]
    told = anyjob_cli("backends", "show", "far").stdout
    assert re.search(r"there: local \(type local\): accepts command, python; can .*durable", told), told
    assert "Connection refused" in anyjob_cli("backends", "show", "away").stdout
    done = anyjob_cli("remote", "check", "away")
    assert done.returncode == 1
    assert "log in: failed" in done.stdout
    assert "Connection refused" in done.stdout


@pytest.mark.engine("ssh")
def test_a_backend_that_is_none_fails_the_check_and_a_banner_moves_no_cursor(
    own_server: OwnServer, anyjob_cli: Cli, anyjob_environment: Path
) -> None:
    server = own_server()
    (server.home / ".bashrc").write_text("printf '\\033[2J\\033]0;title\\007'\n")
    options = "".join(f"{key} = {value!r}\n" for key, value in server.options(backend="slurn").items())
    (anyjob_environment / "anyjob.toml").write_text(f'[backends.hpc]\ntype = "ssh"\n{options}')
    done = anyjob_cli("remote", "check", "hpc")
    assert done.returncode == 1
    assert re.search(r"backends: failed: local \(local\); slurn is used: no backend is called", done.stdout)
    assert r"break on it: \x1b[2J\x1b]0;title\x07" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_connection_is_kept_for_an_hour_at_least(anyjob_cli: Cli) -> None:
    """0 is for ever to ssh."""
    assert anyjob_cli("remote", "login", "--hours", "0", "h").returncode == 125


@pytest.mark.engine("ssh")
def test_what_a_machine_has_is_listed_as_it_has_said_last(
    own_server: OwnServer, anyjob_cli: Cli, anyjob_environment: Path
) -> None:
    """Nobody connects for a listing; --all does, and what cannot be reached is named."""
    server = own_server()
    options = "".join(f"{key} = {value!r}\n" for key, value in server.options(timeout=5).items())
    (anyjob_environment / "anyjob.toml").write_text(f'[backends.hpc]\ntype = "ssh"\n{options}')
    assert "hpc: " not in anyjob_cli("backends", "list").stdout
    assert anyjob_cli("run", "-b", "hpc", "--", "true").returncode == 0
    listed = re.compile(r"\nhpc: local +local +\S+, \S+ ago +used\n")
    assert listed.search(anyjob_cli("backends", "list").stdout)
    lines = json.loads(anyjob_cli("backends", "list", "--json").stdout)
    assert [each["there"]["types"] for each in lines if "there" in each] == [{"local": "local"}]
    server.variables = {"ANYJOB_BACKENDS__MORE__TYPE": "threads"}
    server.stop()
    done = anyjob_cli("backends", "list", "--all")
    assert re.search(r"warning: hpc: .*refused(.|\n)*cannot be reached now", done.stderr)
    assert listed.search(done.stdout)
    server.start()
    assert "hpc: more " not in anyjob_cli("backends", "list").stdout
    assert "hpc: more " in anyjob_cli("backends", "list", "--all").stdout
