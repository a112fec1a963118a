"""The attempts of a job: what each has come to and written, and what a job finds of them from inside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from running_local import Local, running, until
from support.scripted_backends import ScriptedEngine
from support.several_engines import several_engines

import anyjob
from anyjob import Command, Config, ConfigError, JobError, JobStatus, Retry, Session, aio
from anyjob.cli.run.single import run_one
from anyjob.outputs import job_logs

FLAKY = Command(["sh", "-c", 'echo "out $ANYJOB_ATTEMPT"; [ "$ANYJOB_ATTEMPT" = 3 ] || exit 75'])


def counting(to: int) -> tuple[int, int]:
    kept = anyjob.scratch() / "done"
    n = int(kept.read_text()) if kept.exists() else 0
    while n < to:
        n += 1
        kept.write_text(str(n))
        if n == 2:
            raise ConnectionError("half way")
    return n, anyjob.attempt()


def cli(local: Local, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "anyjob", *arguments],
        env={**os.environ, "ANYJOB_STATE": str(local.state)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_each_attempt_is_numbered_and_kept(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        job = local.backend.run(FLAKY, retries=2)
        job.result(timeout=60)
        first, second, last = job.attempts()
        assert [first.number, second.number, last.number] == [1, 2, 3]
        assert (first.status, first.reason, first.exit_code) == (JobStatus.ERROR, "exit-code", 75)
        assert (last.status, last.reason, last.followed_by) == (JobStatus.DONE, None, "")
        assert first.followed_by == "retry"
        assert (first.started or 0) < (first.ended or 0) <= (second.started or 0)
        assert first.usage["cpu_time"] > 0
        assert first.host
        assert [list(job.logs(attempt=n)) for n in (1, 2, 3)] == [["out 1\n"], ["out 2\n"], ["out 3\n"]]
        assert list(job.logs()) == ["out 3\n"]
        assert Path(first.logs["stdout"]).read_text() == "out 1\n"
        with pytest.raises(JobError, match="has had 3 attempts, and no attempt 4"):
            job.logs(attempt=4)
        once = local.backend.run(Command(["true"]))
        once.result(timeout=60)
        with pytest.raises(JobError, match="has had 1 attempt, and no attempt 2"):
            once.logs(attempt=2)
        again = local.another().get_job(job.job_id())
        assert [each.exit_code for each in again.attempts()] == [75, 75, 0]


async def test_one_that_awaits_reads_an_attempt_too(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        job = local.backend.run(FLAKY, retries=2)
        await aio.wait([job], timeout=60)
        assert [line async for line in aio.logs(job, attempt=2)] == ["out 2\n"]
        assert [line async for line in aio.logs(job, follow=True, attempt=2)] == ["out 2\n", "out 3\n"]
        with pytest.raises(JobError, match="has had 3 attempts, and no attempt 4"):
            await anext(aio.logs(job, attempt=4))


def test_a_job_that_was_run_once_has_one_attempt(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        job = local.backend.run(Command(["echo", "once"]))
        job.result(timeout=60)
        (only,) = job.attempts()
        assert (only.number, only.status, only.followed_by) == (1, JobStatus.DONE, "")
        assert list(job.logs(attempt=1)) == ["once\n"]


def test_who_begins_with_an_attempt_sees_it_and_all_after_it(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with running(tmp_path) as local:
        job = local.backend.run(FLAKY, retries=2)
        job.result(timeout=60)
        assert list(job.logs(follow=True, attempt=1)) == ["out 1\n", "out 2\n", "out 3\n"]
        assert list(job.logs(follow=True, attempt=2)) == ["out 2\n", "out 3\n"]
        assert list(job.logs(follow=True)) == ["out 3\n"]
        with pytest.raises(JobError, match="has had 3 attempts, and no attempt 4"):
            job.logs(follow=True, attempt=4)
        with pytest.raises(JobError, match="has had 3 attempts, and no attempt 0"):
            job.logs(follow=True, attempt=0)
        # The command line listens to a job when that is over.
        assert run_one(local.backend, FLAKY, {"retries": 2}, as_json=False, submit=lambda: [job]) == 0
        assert capfdbinary.readouterr().out == b"out 1\nout 2\nout 3\n"


def test_who_follows_a_job_sees_all_its_attempts(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        job = local.backend.run(FLAKY, retries=Retry(2, wait=0.3))
        assert list(job.logs(follow=True)) == ["out 1\n", "out 2\n", "out 3\n"]


@pytest.mark.parametrize("backend", ["local", "right"])
def test_who_begins_with_an_attempt_that_is_yet_to_come_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    with several_engines(tmp_path, monkeypatch):
        job = anyjob.run(FLAKY, backend=backend, retries=Retry(2, wait=1))
        until(lambda: job.attempts()[0].reason is not None)
        assert list(job.logs(follow=True, attempt=2)) == ["out 2\n", "out 3\n"]
        early = anyjob.run(
            Command(["sh", "-c", "echo first; exit 3"]), backend=backend, retries=Retry(1, wait=1)
        )
        assert list(early.logs(follow=True, attempt=2)) == ["first\n"]
        never = anyjob.run(Command(["sleep", "1"]), backend=backend, retries=6)
        with pytest.raises(JobError, match="has had 1 attempt, and no attempt 7"):
            list(never.logs(follow=True, attempt=7))


@pytest.mark.parametrize("backend", ["local", "right"])
def test_who_asks_for_an_attempt_gets_that_alone_though_the_next_one_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """Behind two machines the second one's lines were told twice: the first was read on into it."""
    with several_engines(tmp_path, monkeypatch):
        gates = tmp_path / "gates"
        gates.mkdir()
        wait = f"cd {gates}; until [ -e $ANYJOB_ATTEMPT ]; do sleep 0.05; done"
        program = f"echo out $ANYJOB_ATTEMPT; {wait}; [ $ANYJOB_ATTEMPT = 2 ]"
        job = anyjob.run(Command(["sh", "-c", program]), backend=backend, retries=1)
        until(lambda: list(job.logs()) == ["out 1\n"])
        read = job_logs.reader(job, "stdout", attempt=1)
        (gates / "1").touch()
        until(lambda: len(job.attempts()) == 2 and list(job.logs(attempt=2)) == ["out 2\n"])
        assert (read(0), read(6)) == (b"out 1\n", b"")
        (gates / "2").touch()
        job.result(timeout=60)
        assert (read(0), read(6)) == (b"out 1\n", b"")


@pytest.mark.parametrize("backend", ["local", "right", "threads"])
def test_an_attempt_that_never_began_has_written_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    with several_engines(tmp_path, monkeypatch):
        job = anyjob.run(
            Command(["sh", "-c", "echo out; exit 1"]), backend=backend, retries=Retry(1, wait=600)
        )
        until(lambda: len(job.attempts()) == 2)
        assert job.cancel()
        job.wait_for_final_state(timeout=60)
        first, second = job.attempts()
        assert (first.status, second.status) == (JobStatus.ERROR, JobStatus.CANCELLED), (
            second,
            job.outcome(),
        )
        assert (list(job.logs(attempt=1)), list(job.logs(attempt=2))) == (["out\n"], [])
        assert list(job.logs(attempt=2, follow=True)) == []
        assert second.logs == {}


def test_who_begins_with_an_attempt_gets_it_where_the_one_before_wrote_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        gone = tmp_path / "gone"
        job = local.backend.run(Command(["./it"], cwd=str(gone)), retries=Retry(1, wait=2))
        until(lambda: job.attempts()[0].reason is not None)
        gone.mkdir()
        (gone / "it").write_text("#!/bin/sh\necho here\n")
        (gone / "it").chmod(0o700)
        assert list(job.logs(follow=True, attempt=2)) == ["here\n"]


def test_a_call_keeps_what_it_needs_from_attempt_to_attempt(tmp_path: Path) -> None:
    """lightning#15022: work that goes on where it was left off."""
    with running(tmp_path) as local:
        assert local.backend.run(counting, 5, retries=1).result(timeout=60) == (5, 2)


def test_outside_of_a_job_there_is_nothing_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANYJOB_ATTEMPT", "ANYJOB_SCRATCH", "ANYJOB_SPOOL"):
        monkeypatch.delenv(name, raising=False)
    assert anyjob.attempt() == 1
    with pytest.raises(JobError, match="no job runs here"):
        anyjob.scratch()


def test_a_backend_is_configured_to_retry(tmp_path: Path) -> None:
    with running(tmp_path, retries={"times": 2, "on": [75], "grow": {"memory": 2}}) as local:
        assert local.backend.run(FLAKY).outcome(timeout=60).attempt == 3
        assert local.backend.run(FLAKY, retries=0).outcome(timeout=60).attempt == 1
        assert local.backend.run(Command(["false"])).outcome(timeout=60).attempt == 1


def test_a_configuration_that_makes_no_sense_is_told(tmp_path: Path) -> None:
    retries = {"times": 1, "on": "memroy"}
    config = Config.from_dict({"backends": {"mine": {"type": "local", "retries": retries}}})
    says = r"backend 'mine': on: 'memroy'.*did you mean 'memory'"
    with Session(config, state=tmp_path) as session, pytest.raises(ConfigError, match=says):
        session.get_backend("mine")


def test_what_starts_nothing_anew_at_its_walltime_refuses_to() -> None:
    with pytest.raises(anyjob.UnsupportedSpecError, match="leave on_walltime out"):
        ScriptedEngine.make().run(abs, 1, walltime=60, on_walltime="requeue")


def test_the_command_line_tells_of_attempts(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        ran = cli(local, "run", "--retries", "3", "--retry-on", "75,memory", "--", *FLAKY.argv)
        assert (ran.returncode, ran.stdout) == (0, "out 1\nout 2\nout 3\n")
        (job,) = local.another().jobs()
        shown = cli(local, "show", job.job_id()).stdout
        assert "1: ERROR (exit-code), exit code 75, started" in shown
        assert "3: DONE" in shown
        assert cli(local, "logs", "--attempt", "2", job.job_id()).stdout == "out 2\n"
        waiting = cli(local, "run", "--retries", "3", "--retry-wait", "1h", "--detach", "--", "false").stdout
        local.another().get_job(waiting.strip())
        listed = ""
        while "again in" not in listed:
            listed = cli(local, "jobs", "--columns", "message").stdout
        assert "attempt 2 of 4, again in 3" in listed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--retries", "1", "--retry-on", "memroy"], "did you mean 'memory'"),
        (["--retries", "-1"], "--retries takes a whole number"),
        (["--retry-wait", "3s"], "give --retries N, too"),
        (["--retries", "1", "--retry-grow", "memory=2"], "asks for no memory"),
        (["--on-walltime", "requeue"], "walltime="),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, arguments: list[str], says: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "anyjob", "run", *arguments, "--", "true"],
        env={**os.environ, "ANYJOB_STATE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0
    assert says in ran.stderr
