"""What is ours: programs that end before their jobs, jobs that are not taken, and words of all kinds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import wait_until

import anyjob
from anyjob import JobStatus, Session

APP = """
import sys, time
from pathlib import Path

import hydra

@hydra.main(version_base=None)
def app(cfg):
    deadline = time.monotonic() + 60
    while "gate" in cfg and not Path(cfg.gate).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return cfg.word

app()
"""


@pytest.fixture
def session() -> Iterator[Session]:
    """A session on the state directory that the programs use."""
    with Session() as made:
        yield made


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a sweep of the program, whose directory is ``sweep``."""
    (tmp_path / "app.py").write_text(APP)
    command = [sys.executable, "app.py", "-m", "hydra/launcher=anyjob", "hydra.sweep.dir=sweep", *arguments]
    return subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    )


def jobs_of(session: Session, tmp_path: Path) -> list[anyjob.TaskJob]:
    return session.jobs(tags={"hydra.sweep": str(tmp_path / "sweep")})


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_jobs_of_a_program_that_is_killed_go_on_and_ctrl_c_cancels_them(
    number: int, tmp_path: Path, session: Session
) -> None:
    gate = tmp_path / "gate"
    with start(tmp_path, "+word=one,two", f"+gate={gate}") as program:
        assert program.stdout is not None
        for line in program.stdout:
            if "#1" in line:
                break
        if number == signal.SIGINT:  # not while it still says what it has launched
            wait_until(lambda: jobs_of(session, tmp_path)[1].running(), "the second job runs")
        os.killpg(program.pid, number)
        rest = program.stdout.read()
    jobs = jobs_of(session, tmp_path)
    if number == signal.SIGINT:
        assert "Interrupted: 2 jobs are cancelled" in rest
        session.wait(jobs, timeout=60)
        assert [job.status() for job in jobs] == [JobStatus.CANCELLED] * 2
    else:
        gate.touch()
        assert [job.result(60).return_value for job in jobs] == ["one", "two"]


def test_words_and_names_of_all_kinds_reach_the_job(tmp_path: Path, session: Session) -> None:
    hostile = "a/b; $(touch x) \\'\"\n%s ü"
    quoted = hostile.replace("\\", "\\\\").replace("'", "\\'")
    with start(
        tmp_path, f"+word='{quoted}'", r"hydra.launcher.name='${word}'", "hydra.launcher.detach=true"
    ) as program:
        said, _ = program.communicate(timeout=60)
    assert program.returncode == 0, said
    (job,) = session.jobs(name=hostile, tags={"hydra.sweep": str(tmp_path / "sweep")})
    assert job.result(60).return_value == hostile


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hydra.launcher.cpus=4000"], "it asks for 4000 cpus, and there are 2 slots"),
        (["hydra.launcher.backend=threads", "hydra.launcher.memory=1G"], "which is not kept to here"),
        (
            ["hydra.launcher.backend=threads", "hydra.launcher.detach=true"],
            "jobs of the backend 'threads' end",
        ),
        (["hydra.launcher.backend=nowhere"], "no backend is called 'nowhere'"),
    ],
)
def test_what_cannot_be_is_said_without_a_traceback(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    with start(tmp_path, "+word=one", *arguments) as program:
        said, _ = program.communicate(timeout=60)
    assert program.returncode == 1
    assert message in said
    assert "Traceback" not in said
