"""Shell completion, by real shells at a terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli_program import anyjob
from support.interactive_shell import InteractiveShell, interactive_shell

from anyjob import Command, Session, wait

LONG = 60  # seconds: only ever waited for where something is broken


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the program ``anyjob``, and with the scripts of the shells."""
    directory = tmp_path_factory.mktemp("bin")
    program = directory / "anyjob"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom anyjob.cli import main\nsys.exit(main())\n")
    program.chmod(0o755)
    for name in ("bash", "zsh", "fish"):
        (directory / f"anyjob.{name}").write_bytes(anyjob("completion", name).stdout)
    return directory


@pytest.fixture
def jobs(local_cli: Path, tmp_path: Path) -> Iterator[list[str]]:
    """The ids of two jobs, of which one has ended, and some files."""
    for name in ("sweep.toml", "sweet.txt", "an input.csv"):
        (tmp_path / name).touch()
    (tmp_path / "subdirectory").mkdir()
    with Session(state=local_cli) as session:
        session.prune(0)
        backend = session.get_backend("local")
        ended = backend.run(Command(["true"]), name="fit-one", tags={"study": "alpha", "owner": "me"})
        wait([ended], LONG)
        open_job = backend.run(Command(["sleep", "60"]), name="a name with blanks")
        yield [ended.job_id(), open_job.job_id()]
        open_job.cancel()
        wait([open_job], LONG)


@pytest.fixture
def shell(scripts: Path, jobs: list[str], tmp_path: Path) -> Iterator[InteractiveShell]:
    with interactive_shell("bash", scripts, tmp_path, scripts / "anyjob.bash") as shell:
        yield shell


def test_a_bash_completes_what_there_is(shell: InteractiveShell, jobs: list[str]) -> None:
    ended, open_job = jobs
    # commands and options, as before
    assert shell.completed("anyjob compl") == ["anyjob", "completion"]
    assert shell.completed("anyjob jobs --superse") == ["anyjob", "jobs", "--superseded"]
    # files
    assert shell.completed("anyjob run sweep") == ["anyjob", "run", "sweep.toml"]
    assert shell.completed("anyjob run --stdin an") == ["anyjob", "run", "--stdin", "an input.csv"]
    assert shell.completed("anyjob run --cwd su") == ["anyjob", "run", "--cwd", "subdirectory/"]
    assert shell.completed("anyjob run -- cat --env an") == [
        "anyjob",
        "run",
        "--",
        "cat",
        "--env",
        "an input.csv",
    ]
    # backends, states, columns
    assert shell.completed("anyjob run -b thr") == ["anyjob", "run", "-b", "threads"]
    assert shell.completed("anyjob jobs --state QUE") == ["anyjob", "jobs", "--state", "QUEUED"]
    assert shell.completed("anyjob jobs --state failed,op") == ["anyjob", "jobs", "--state", "failed,open"]
    assert shell.completed("anyjob jobs --columns id,nam") == ["anyjob", "jobs", "--columns", "id,name"]
    # what is in the ledger
    assert shell.completed(f"anyjob show {ended[:5]}")[-1] == ended[:7]
    assert shell.completed(f"anyjob result {ended[:12]}")[-1] == ended
    assert shell.completed("anyjob logs fit-")[-1] == "fit-one"
    assert shell.completed("anyjob show a")[-1] in ("a name with blanks", "a")
    assert shell.completed("anyjob cancel fit-")[-1] == "fit-"  # it has ended
    assert shell.completed("anyjob wait --name 'a na")[-1] == "a name with blanks"
    assert shell.completed("anyjob jobs --tag st")[-1] == "study=alpha"
    assert shell.completed("anyjob jobs --tag study=a")[-1] == "study=alpha"
    assert shell.completed("anyjob jobs --name=fit")[-1] == "--name=fit-one"
    assert shell.completed("ANYJOB_X=1 anyjob jobs --name fit")[-1] == "fit-one"
    assert {"fit-one", ended[:7], open_job[:7]} <= shell.offered("anyjob show ")


def test_nothing_is_said_into_the_line(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "anyjob.toml").write_text("this is [ no TOML\n")
    assert shell.completed("anyjob jobs --name fit-") == ["anyjob", "jobs", "--name", "fit-"]
    assert shell.completed("anyjob run sweep") == ["anyjob", "run", "sweep.toml"]


def test_names_that_no_line_can_hold_are_not_offered(shell: InteractiveShell, local_cli: Path) -> None:
    with Session(state=local_cli) as session:
        wait([session.get_backend("local").run(Command(["true"]), name="evil\n;\x1b[2Jtouch owned")], LONG)
        wait([session.get_backend("local").run(Command(["true"]), name="ev$(touch owned)`il")], LONG)
    assert shell.completed("anyjob wait --name ev")[-1] == "ev$(touch owned)`il"
    assert not (local_cli.parent / "owned").exists()
    assert not Path("owned").exists()


def found(name: str) -> str:
    return shutil.which(name) or pytest.skip(f"there is no {name} here")


def test_a_zsh_completes_what_there_is(scripts: Path, jobs: list[str], tmp_path: Path) -> None:
    found("zsh")
    with interactive_shell("zsh", scripts, tmp_path, scripts / "anyjob.zsh") as shell:
        assert shell.completed("anyjob run sweep") == ["anyjob", "run", "sweep.toml"]
        assert shell.completed("anyjob jobs --tag study=a")[-1] == "study=alpha"
        assert shell.completed("anyjob logs fit-")[-1] == "fit-one"


def test_a_fish_completes_what_there_is(scripts: Path, jobs: list[str], tmp_path: Path) -> None:
    lines = "complete -C 'anyjob jobs --name fit'; complete -C 'anyjob run sweep'"
    done = subprocess.run(
        [found("fish"), "--no-config", "-c", f"source {scripts / 'anyjob.fish'}; {lines}"],
        capture_output=True,
        timeout=LONG,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"},
    )
    assert done.stdout.decode().split() == ["fit-one", "sweep.toml"]
