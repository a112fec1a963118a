"""Retries on backends whose jobs live and end with this program: it runs them again itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import anyjob
from anyjob import Command, Config, JobCancelledError, JobStatus, Retry, Session

CALLS: list[int] = []


def flaky(path: str, succeeds_at: int) -> int:
    with open(path, "a") as stream:
        stream.write(f"{anyjob.attempt()}\n")
    if anyjob.attempt() < succeeds_at:
        raise ConnectionResetError("the other side has gone")
    return anyjob.attempt()


@pytest.mark.parametrize("kind", ["inline", "threads", "processes"])
def test_a_call_is_run_again(tmp_path: Path, kind: str) -> None:
    with Session(Config.from_dict({}), state=tmp_path / "state") as session:
        backend = session.get_backend(kind)
        mark = tmp_path / "mark"
        job = backend.run(flaky, str(mark), 3, retries=Retry(3, on={ConnectionError}, wait=0.05))
        assert job.result(timeout=60) == 3
        assert mark.read_text().split() == ["1", "2", "3"]
        found = [(each.number, each.status, each.reason, each.followed_by) for each in job.attempts()]
        assert found == [
            (1, JobStatus.ERROR, "exception", "retry"),
            (2, JobStatus.ERROR, "exception", "retry"),
            (3, JobStatus.DONE, None, ""),
        ]
        assert job.outcome().attempt == 3
        other = backend.run(flaky, str(mark), 9, retries=Retry(3, on={TimeoutError}))
        assert isinstance(other.exception(timeout=60), ConnectionResetError)
        assert len(other.attempts()) == 1


@pytest.mark.parametrize("kind", ["inline", "threads", "processes"])
def test_a_command_is_run_again(tmp_path: Path, kind: str) -> None:
    with Session(Config.from_dict({}), state=tmp_path / "state") as session:
        script = 'echo "out $ANYJOB_ATTEMPT"; [ "$ANYJOB_ATTEMPT" = 2 ] || exit 75'
        job = session.get_backend(kind).run(Command(["sh", "-c", script]), retries=2)
        assert job.result(timeout=60).stdout.text() == "out 2\n"
        assert list(job.logs(attempt=1)) == ["out 1\n"]
        assert [each.exit_code for each in job.attempts()] == [75, 0]


def test_while_it_waits_to_go_again_others_run(tmp_path: Path) -> None:
    config = Config.from_dict({"backends": {"one": {"type": "threads", "slots": 1}}})
    with Session(config, state=tmp_path) as session:
        backend = session.get_backend("one")
        mark = tmp_path / "mark"
        job = backend.run(flaky, str(mark), 9, retries=Retry(2, wait="1h"))
        assert backend.run(os.getpid).result(timeout=60) == os.getpid()
        assert job.status() is JobStatus.QUEUED
        assert job.metadata()["message"] == "attempt 2 of 3, again in 3600 s"
        assert job.cancel()
        with pytest.raises(JobCancelledError):
            job.result(timeout=60)
        assert mark.read_text().split() == ["1"]


def test_a_program_at_its_walltime_goes_on(tmp_path: Path) -> None:
    with Session(Config.from_dict({}), state=tmp_path / "state") as session:
        script = '[ "$ANYJOB_ATTEMPT" = 2 ] || exec sleep 60'
        job = session.get_backend("threads").run(
            Command(["sh", "-c", script]), walltime=3, on_walltime="requeue"
        )
        assert job.result(timeout=60).exit_code == 0
        assert [each.reason for each in job.attempts()] == ["walltime", None]
