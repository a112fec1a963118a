"""Retries on `local`: each attempt is run once, numbered and kept, whoever is killed meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from running_local import running, until

import anyjob
from anyjob import Command, JobStatus, Retry
from anyjob.errors import CommandFailedError, JobCancelledError
from anyjob.ledger.file.schema import faults


def marking(path: Path, succeeds_at: int) -> Command:
    """A program that notes each of its attempts, and succeeds in one of them."""
    script = 'echo "$ANYJOB_ATTEMPT" >> "$1"; echo "out $ANYJOB_ATTEMPT"; [ "$ANYJOB_ATTEMPT" -ge "$2" ]'
    script += " || exit 75"
    return Command(["sh", "-c", script, "sh", str(path), str(succeeds_at)])


def attempts_in(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def fail_until(path: str, succeeds_at: int) -> str:
    with open(path, "a") as stream:
        stream.write(os.environ["ANYJOB_ATTEMPT"] + "\n")
    if int(os.environ["ANYJOB_ATTEMPT"]) < succeeds_at:
        raise ConnectionResetError("the other side has gone")
    return "done"


def test_a_command_is_run_again_until_it_succeeds(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        mark = tmp_path / "mark"
        job = local.backend.run(marking(mark, 3), retries=2)
        result = job.result(timeout=60)
        assert attempts_in(mark) == ["1", "2", "3"]
        assert result.stdout.text() == "out 3\n"
        assert job.outcome().attempt == 3
        assert [each.outcome.exit_code for each in local.session.ledger.attempts.ended(job.job_id())] == [
            75,
            75,
        ]
        assert local.session.ledger.file.write(faults) == []


def test_a_call_is_run_again_after_exceptions_of_a_type(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        mark = tmp_path / "mark"
        job = local.backend.run(fail_until, str(mark), 2, retries=Retry(3, on={ConnectionError}))
        assert job.result(timeout=60) == "done"
        assert attempts_in(mark) == ["1", "2"]
        other = local.backend.run(fail_until, str(mark), 99, retries=Retry(3, on={TimeoutError}))
        assert isinstance(other.exception(timeout=60), ConnectionResetError)
        assert attempts_in(mark) == ["1", "2", "1"]


def test_the_last_failure_is_what_came_of_it(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        mark = tmp_path / "mark"
        job = local.backend.run(marking(mark, 99), retries=Retry(2, on={75}, wait=0.01))
        with pytest.raises(CommandFailedError):
            job.result(timeout=60)
        assert attempts_in(mark) == ["1", "2", "3"]


def test_a_job_that_waits_to_go_again_is_queued_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        mark = tmp_path / "mark"
        job = local.backend.run(marking(mark, 99), retries=Retry(2, wait="1h"))
        until(lambda: job.metadata()["attempt"] == 2 or not job.status(), "it is to go again")
        assert job.status() is JobStatus.QUEUED
        assert job.metadata()["message"].startswith("attempt 2 of 3, again in 3")
        assert job.cancel()
        with pytest.raises(JobCancelledError):
            job.result(timeout=60)
        assert attempts_in(mark) == ["1"]


def test_what_was_killed_between_two_attempts_is_gone_on_with(tmp_path: Path) -> None:
    """executorlib#412: nothing is submitted twice, whoever dies."""
    with running(tmp_path) as local:
        mark = tmp_path / "mark"
        job = local.backend.run(marking(mark, 2), retries=Retry(2, wait=2.0))
        until(lambda: local.session.ledger.attempts.due([job.job_id()]), "an attempt is due")
        local.kill("supervisor")
        assert job.result(timeout=60).exit_code == 0
        assert attempts_in(mark) == ["1", "2"]


def test_a_supervisor_that_dies_is_followed_by_another_though_nobody_looks(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        mark = tmp_path / "mark"
        job = local.backend.run(marking(mark, 2), retries=Retry(2, wait=2.0))
        until(lambda: local.session.ledger.attempts.due([job.job_id()]), "an attempt is due")
        local.session.close()
        local.kill("supervisor")
        until(lambda: attempts_in(mark) == ["1", "2"], "the next attempt has run")


def test_who_starts_after_a_job_waits_for_its_last_attempt(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        mark = tmp_path / "mark"
        first = local.backend.run(marking(mark, 3), retries=Retry(2, wait=0.05))
        second = local.backend.run(Command(["sh", "-c", 'wc -l < "$0"', str(mark)]), after=first)
        third = local.backend.run(Command(["true"]), after_failure=first)
        assert second.result(timeout=60).stdout.text().split() == ["3"]
        assert third.outcome(timeout=60).reason == "dependency"


def test_an_attempt_gets_more_memory_than_the_one_before(tmp_path: Path) -> None:
    """toil#4474, toil#4834, cromwell#4346: more memory after one that ran out of it."""
    with running(tmp_path, memory="1GiB") as local:
        greedy = Command(["python3", "-c", "import time; x = bytearray(150 << 20); time.sleep(1)"])
        policy = Retry(3, on={"memory"}, grow={"memory": 3})
        job = local.backend.run(greedy, memory="100MiB", retries=policy)
        assert job.result(timeout=90).exit_code == 0
        assert job.outcome().attempt == 2


def test_a_job_at_its_walltime_goes_on_under_its_id(tmp_path: Path) -> None:
    """submitit#1732, torchx#394: requeue on timeout, of commands too."""
    with running(tmp_path) as local:
        mark = tmp_path / "mark"
        script = 'echo "$ANYJOB_ATTEMPT" >> "$0"; [ "$ANYJOB_ATTEMPT" = 3 ] || exec sleep 60'
        job = local.backend.run(Command(["sh", "-c", script, str(mark)]), walltime=3, on_walltime="requeue")
        assert job.result(timeout=90).exit_code == 0
        assert attempts_in(mark) == ["1", "2", "3"]
        kinds = [each.kind for each in local.session.ledger.attempts.ended(job.job_id())]
        assert kinds == ["requeue", "requeue"]


def test_many_jobs_that_fail_are_all_run_again(tmp_path: Path) -> None:
    with running(tmp_path) as local:
        marks = [tmp_path / f"mark-{n}" for n in range(30)]
        jobs = local.backend.run_many([marking(mark, 2) for mark in marks], retries=1)
        anyjob.wait(jobs, timeout=120)
        assert {job.status() for job in jobs} == {JobStatus.DONE}
        assert [attempts_in(mark) for mark in marks] == [["1", "2"]] * 30
