"""``anyjob doctor``: what it finds, what it leaves alone, and that nothing takes it along."""

from __future__ import annotations

import json
import os
import resource
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.cli_program import anyjob, install, invoke

import anyjob as library
from anyjob import Command
from anyjob.cli.doctor import installation, machine, state
from anyjob.cli.doctor.findings import PROBLEM, WARNING, Finding
from anyjob.ledger.file.schema import VERSION

EVIL = "e\x1b[2Jvil"


def found(*arguments: str, code: int = 0, **variables: str) -> dict[tuple[str, str], dict[str, str]]:
    done = anyjob("doctor", "--json", *arguments, env={**os.environ, **variables})
    assert done.returncode == code, (done.stdout, done.stderr)
    told = json.loads(done.stdout)
    assert told["ok"] is (code == 0)
    return {(each["section"], each["what"]): each for each in told["findings"]}


def test_a_fresh_installation_has_no_problem_and_is_not_touched(tmp_path: Path) -> None:
    directory = tmp_path / "none"
    told = found(ANYJOB_STATE=str(directory))
    assert not directory.exists()
    assert "not there yet" in told["state", "directory"]["value"]
    assert told["backends", "local (default)"]["state"] == ""
    assert "command, inline, local" in told["plugins", f"anyjob {library.__version__}"]["value"]
    assert {("limits", "open files"), ("clock", "time"), ("versions", "SQLite")} <= set(told)


def test_a_supervisor_that_serves_answers_with_its_protocol(local_cli: Path) -> None:
    library.get_backend("local").run(Command(["true"])).result(timeout=60)
    told = found()
    supervisor = told["daemons", "supervisor"]
    assert "protocol" in supervisor["value"] or "none runs" in supervisor["value"]
    assert told["state", "jobs"]["value"] == "1 DONE"
    assert told["state", "writing"]["value"] == "works"
    assert f"version {VERSION}" in told["state", "ledger"]["value"]


def test_many_short_calls_are_told_of_warm_processes(
    local_cli: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = library.get_backend("local").map(abs, range(3))
    library.wait(jobs, timeout=60)
    assert ("state", "short calls") not in found()
    monkeypatch.setattr("anyjob.views.explanation.short_calls.MANY", 3)
    (said,) = [each for each in state.ledger(local_cli) if each.what == "short calls"]
    assert said.value.startswith("3 on local took ")
    assert 'isolation = "reuse"' in said.way_out


def test_plugins_that_hang_or_end_the_process_take_nothing_along(site: Path, tmp_path: Path) -> None:
    hooks = "[anyjob.plugins]\nhang = hanging\n"
    backends = "[anyjob.backends]\nhang = hanging:B\nleave = leaving:B\n"
    install(
        site,
        "acme",
        hooks + backends,
        hanging="import time\ntime.sleep(60)\n",
        leaving="import os\nos._exit(3)\n",
    )
    config = tmp_path / "anyjob.toml"
    config.write_text(
        '[backends.a]\ntype = "hang"\n[backends.b]\ntype = "leave"\n'
        '[backends."e\\u001b[2Jvil"]\ntype = "none"\ntoken = "geheim"\n'
    )
    environment = {**os.environ, "PYTHONPATH": str(site), "ANYJOB_BACKENDS__A__TOKEN": "geheim"}
    done = anyjob("doctor", "--timeout", "6s", env=environment, cwd=tmp_path)
    said = done.stdout.decode()
    assert done.returncode == 1, said
    assert "geheim" not in said
    assert "\x1b" not in said
    assert (
        "! a: asking it has not ended within 6 s\n    -> with more time: anyjob doctor --timeout 1m" in said
    )
    assert "! b: asking it ended the process (exit code 3)" in said
    assert "! e\\x1b[2Jvil" in said
    assert "hooks: names that the hook plugin hang of acme 1.0 registers are left out" in said
    assert said.rstrip().endswith("problems, 1 warning")


def test_a_configuration_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "anyjob.toml").write_text("[backends\n")
    done = anyjob("doctor", "--json", cwd=tmp_path)
    findings = json.loads(done.stdout)["findings"]
    assert [each["state"] for each in findings if each["what"] == "files"] == ["problem"]
    assert any(each["section"] == "clock" for each in findings)


@pytest.mark.parametrize(
    ("damage", "said", "bad"),
    [
        (lambda path: path.write_bytes(b"no database at all" * 100), "cannot be read", PROBLEM),
        (lambda path: _newer(path), f"version {VERSION + 1}", PROBLEM),
    ],
)
def test_a_ledger_that_is_damaged_or_newer_is_left_as_it_is(
    tmp_path: Path, damage: Any, said: str, bad: str
) -> None:
    path = tmp_path / "ledger.sqlite"
    damage(path)
    before = path.read_bytes()
    (finding,) = state.ledger(tmp_path)
    assert said in finding.value
    assert finding.state == bad
    assert path.read_bytes() == before


def _newer(path: Path) -> None:
    db = sqlite3.connect(path)
    db.executescript(f"CREATE TABLE jobs (state); PRAGMA user_version = {VERSION + 1}")
    db.close()


def test_a_state_directory_that_others_may_write_to_is_a_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    first = next(state.directory(tmp_path))
    assert (first.state, "chmod 700" in first.way_out) == (PROBLEM, True)


@pytest.mark.parametrize("kind", ["a file", "a link", "in a file"])
def test_a_state_directory_that_cannot_be_made_is_a_problem(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    path = {"a file": "file", "a link": "link", "in a file": "file/state"}[kind]
    (only,) = state.directory(tmp_path / path)
    assert (only.state, "ANYJOB_STATE" in only.way_out) == (PROBLEM, True)


def test_few_open_files_are_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, 64))
    told = {each.what: each for each in machine.limits(tmp_path)}
    assert (told["open files"].state, told["processes"].state) == (WARNING, "")


def test_a_service_that_is_away_or_not_operational_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Status:
        backend_version, status_msg, pending_jobs, operational = "1.2", "maintenance", 7, False

    class Backend:
        def status(self) -> Any:
            return Status

    class Session:
        def get_backend(self, name: str) -> Any:
            return Backend()

    monkeypatch.setattr("anyjob.session.default.default_session", Session)
    assert installation.ask("x") == [WARNING, "not operational: version 1.2, maintenance, 7 jobs pending"]
    Status.operational = True
    assert installation.ask("x")[1].startswith("reached: version 1.2")
    monkeypatch.setattr(Backend, "status", lambda self: 1 / 0)
    assert installation.ask("x") == [PROBLEM, "ZeroDivisionError: division by zero"]


def test_a_value_of_several_lines_is_told_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    from anyjob.cli.doctor import command

    command._write(Finding("backends", "x", "no backend is x\nconfigured: a", PROBLEM, "mend it"))
    assert capsys.readouterr().out == "! x: no backend is x\n    configured: a\n    -> mend it\n"


def test_what_cannot_be_looked_at_keeps_nothing_from_being_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    from anyjob.cli.doctor import command

    monkeypatch.setattr(machine, "versions", lambda: 1 / 0)
    monkeypatch.setattr(installation, "backends", lambda timeout: iter([Finding("backends", "x", "y")]))
    told = list(command.look(Path("/nonexistent"), 1))
    assert told[0].value == "fails: ZeroDivisionError: division by zero"
    assert told[-1].section == "clock"


def test_version_tells_what_is_written_and_spoken() -> None:
    told = json.loads(invoke("version", "--json").stdout)
    assert told["ledger"] == str(VERSION)
    assert told["anyjob"].startswith(library.__version__)
    assert invoke("version").stdout.splitlines()[0].startswith("anyjob  ")
