"""What is started as an interpreter of Python is one, or nothing is started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_local import SOURCE, TESTS, Local, running

from anyjob import BackendUnavailableError, Call, Command, ConfigError
from anyjob.execution import interpreter


@pytest.fixture
def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "_found", None)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Local]:
    with running(tmp_path) as made:
        yield made


LEFT_OUT = (
    *(
        "anyjob.testing",
        "pytest",
        "hypothesis",
        "dask",
        "numpy",
        "IPython",
        "ipykernel",
        "jupyter_client",
        "nbformat",
    ),
    *("zmq", "tornado", "papermill", "keyring", "greenlet", "setuptools", "mypy", "tkinter"),
)
"""What is installed here and the application does not need: to pack it takes twice as long."""


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real frozen application."""
    build = tmp_path_factory.mktemp("application")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "PyInstaller",
            "--log-level",
            "ERROR",
            "--noconfirm",
            "--onedir",
            "--name",
            "app",
        ]
        + ["--paths", str(SOURCE), "--copy-metadata", "anyjob", "--collect-submodules", "anyjob"]
        + [word for name in LEFT_OUT for word in ("--exclude-module", name)]
        + [str(TESTS / "frozen_app.py")],
        cwd=build,
        capture_output=True,
        text=True,
        timeout=570,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return build / "dist" / "app" / "app"


def run(application: Path, own: Local, *arguments: str, **variables: str) -> tuple[str, int]:
    """What an application says that may start eight processes at most, and how many there were."""
    starts = application.parent / "starts"
    starts.unlink(missing_ok=True)
    environment = {**os.environ, "ANYJOB_STATE": str(own.state), **variables}
    done = subprocess.run(
        [application, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + done.stderr, len(starts.read_text().splitlines())


@pytest.mark.timeout(600)  # whichever comes first has it built
def test_a_frozen_application_is_not_started_as_an_interpreter(application: Path, own: Local) -> None:
    """issue 14, 0: 1,200 processes took the machine."""
    said, starts = run(application, own, "local", "command", "processes", "python", "threads", "python")
    assert starts == 1, said
    assert "local command ConfigError: this is a frozen application" in said
    assert "set `python` of the backend" in said
    assert said.count("frozen application") == 2
    assert "threads python 5" in said, said


@pytest.mark.timeout(600)
def test_a_frozen_application_starts_the_interpreter_that_is_configured(
    application: Path, own: Local
) -> None:
    path = {"ANYJOB_BACKENDS__LOCAL__PYTHON": sys.executable, "ANYJOB_BACKENDS__LOCAL__TYPE": "local"}
    said, starts = run(application, own, "local", "command", "local", "python", **path)
    assert starts == 1
    assert "local command CommandResult" in said
    assert "local python 5" in said


def test_an_application_that_is_configured_as_the_interpreter_starts_once(
    application: Path, own: Local
) -> None:
    path = {"ANYJOB_BACKENDS__LOCAL__PYTHON": str(application), "ANYJOB_BACKENDS__LOCAL__TYPE": "local"}
    said, starts = run(application, own, "local", "command", **path)
    assert starts == 2, said
    assert f"'{application}' is no interpreter of Python that runs anyjob" in said


@pytest.mark.parametrize("empty", ["", None])
def test_without_an_interpreter_the_way_out_is_told(
    unprobed: None, empty: str | None, own: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", empty)
    for spec in (Command(["true"]), Call(abs, (1,))):
        with pytest.raises(ConfigError, match=r"no interpreter of Python.*set `python`"):
            own.backend.run(spec)
    assert own.supervisor is None


@pytest.mark.parametrize("program", ["/bin/true", "/bin/cat", "/no/such/program"])
def test_a_program_that_is_no_interpreter_is_not_started_as_one(
    unprobed: None, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(ConfigError, match=f"'{program}', is no interpreter of Python"):
        interpreter.find_interpreter()


def test_an_interpreter_by_another_name_is_asked_once(
    unprobed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = tmp_path / "launcher"
    launcher.write_text(f'#!/bin/sh\necho >> {tmp_path}/starts\nexec {sys.executable} "$@"\n')
    launcher.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(launcher))
    assert [interpreter.find_interpreter(), interpreter.find_interpreter()] == [str(launcher)] * 2
    assert (tmp_path / "starts").read_text() == "\n"


def test_who_was_started_as_an_interpreter_and_is_none_starts_nothing(
    own: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(interpreter.MARK, "1")
    with pytest.raises(ConfigError, match="has started this program as an interpreter"):
        own.backend.run(Command(["true"]))
    assert own.supervisor is None


def test_programs_and_calls_of_jobs_may_submit_jobs(own: Local) -> None:
    assert own.backend.run(Call(os.getenv, (interpreter.MARK,))).result(timeout=60) is None
    said = own.backend.run(Command(["env"])).result(timeout=60).stdout.text()
    assert interpreter.MARK not in said


def test_a_configured_interpreter_that_is_missing_is_named(tmp_path: Path) -> None:
    with (
        running(tmp_path, python="/no/such/python") as own,
        pytest.raises(BackendUnavailableError, match="'/no/such/python'"),
    ):
        own.backend.run(Command(["true"]))
