"""``anyjob backends check local`` notices what may end its jobs before their time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli_program import invoke
from support.durable_state import durable_state

from anyjob.cli.backends import host_limits
from anyjob.cli.backends.host_limits import logind_settings, notices


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    with durable_state(tmp_path) as state:
        yield state


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_check_tells_of_an_allocation(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    done = invoke("backends", "check", "local", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["ok"]) == (0, True)
    checks = {each["check"]: each for each in found["checks"]}
    assert checks["host"]["state"] == "notice"
    assert "inside an allocation of Slurm (SLURM_JOB_ID=42)" in checks["host"]["message"]
    assert (checks["command"]["state"], checks["python"]["state"]) == ("ok", "ok")


def test_other_backends_have_no_such_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    assert "host" not in invoke("backends", "check", "threads").stdout


def test_nothing_to_notice(tmp_path: Path) -> None:
    assert notices(tmp_path, environ={"USER": "me"}, root=tmp_path) == []


@pytest.mark.parametrize(
    ("text", "user", "count"),
    [
        ("[Login]\nKillUserProcesses=yes\n", "me", 1),
        ("[Login]\nKillUserProcesses = true\n", "me", 1),
        ("[Login]\n#KillUserProcesses=yes\n", "me", 0),
        ("[Login]\nKillUserProcesses=no\n", "me", 0),
        ("[Login]\nKillUserProcesses=yes\nKillExcludeUsers=root me\n", "me", 0),
        ("[Login]\nKillUserProcesses=yes\n", "root", 0),
        ("[Login]\nKillUserProcesses=yes\nKillOnlyUsers=you\n", "me", 0),
        ("[Login]\nKillUserProcesses=yes\nKillOnlyUsers=me you\n", "me", 1),
    ],
)
def test_logging_out(tmp_path: Path, text: str, user: str, count: int) -> None:
    write(tmp_path / "etc/systemd/logind.conf", text)
    found = notices(tmp_path, environ={"USER": user}, root=tmp_path)
    assert len(found) == count
    assert all("loginctl enable-linger" in each for each in found)


def test_settings_of_logind_go_before_one_another_as_systemd_has_it(tmp_path: Path) -> None:
    write(tmp_path / "usr/lib/systemd/logind.conf", "KillUserProcesses=yes\nOnlyHere=1\n")
    write(tmp_path / "etc/systemd/logind.conf", "KillUserProcesses=no\n")
    assert logind_settings(tmp_path) == {"KillUserProcesses": "no"}
    write(tmp_path / "usr/lib/systemd/logind.conf.d/50-site.conf", "KillUserProcesses=yes\n")
    assert logind_settings(tmp_path)["KillUserProcesses"] == "yes"
    write(tmp_path / "etc/systemd/logind.conf.d/50-site.conf", "")  # takes the place of that one
    assert logind_settings(tmp_path)["KillUserProcesses"] == "no"


def test_a_state_directory_on_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_limits, "is_network", lambda path: True)
    monkeypatch.setattr(host_limits, "file_system", lambda path: "nfs4")
    (found,) = notices(tmp_path, environ={}, root=tmp_path)
    assert "on a network file system (nfs4)" in found
    assert "ANYJOB_STATE" in found
