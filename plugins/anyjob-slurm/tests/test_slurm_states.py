"""What Slurm's states mean, and what is said of a job that has left nothing behind."""

from __future__ import annotations

import os
from typing import Any

import pytest
from anyjob_slurm import reasons
from anyjob_slurm.rows import canceller, how_it_is
from anyjob_slurm.states import MEANINGS, cancelled_by, meaning

from anyjob import JOB_FINAL_STATES, JobStatus, Outcome
from anyjob.batch import job_outcomes
from anyjob.sdk import Row

STATES = (
    "BOOT_FAIL CANCELLED COMPLETED CONFIGURING COMPLETING DEADLINE FAILED LAUNCH_FAILED NODE_FAIL "
    "OUT_OF_MEMORY PENDING PREEMPTED RECONFIG_FAIL RUNNING RESV_DEL_HOLD REQUEUE_FED REQUEUE_HOLD REQUEUED "
    "RESIZING REVOKED SIGNALING SPECIAL_EXIT STAGE_OUT STOPPED SUSPENDED TIMEOUT"
)
"""As the manual of squeue 24.11 lists them."""


def row(state: str, restarts: int = 0, status: int = 0, reason: str = "", **fields: Any) -> Row:
    attempt = restarts + (state != "COMPLETING")
    return Row("7", attempt=attempt, **{**how_it_is(state, reason, status), **fields})


def outcome(row: Row, ended: dict[str, Any], attempt: int, **words: Any) -> Outcome:
    return job_outcomes.outcome(row, ended, attempt, title="Slurm", **words)


def test_every_state_of_the_manual_has_a_meaning() -> None:
    assert set(STATES.split()) <= set(MEANINGS)


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [
        ("PENDING", JobStatus.QUEUED, None),
        ("REQUEUED", JobStatus.QUEUED, None),
        ("CONFIGURING", JobStatus.QUEUED, None),
        ("COMPLETING", JobStatus.RUNNING, None),
        ("SUSPENDED", JobStatus.RUNNING, None),
        ("COMPLETED", JobStatus.DONE, None),
        ("CANCELLED by 1000", JobStatus.CANCELLED, None),
        ("CANCELLED+", JobStatus.CANCELLED, None),
        ("FAILED", JobStatus.ERROR, "exit-code"),
        ("TIMEOUT", JobStatus.ERROR, "walltime"),
        ("DEADLINE", JobStatus.ERROR, "walltime"),
        ("OUT_OF_MEMORY", JobStatus.ERROR, "memory"),
        ("NODE_FAIL", JobStatus.ERROR, "node-failure"),
        ("BOOT_FAIL", JobStatus.ERROR, "node-failure"),
        ("PREEMPTED", JobStatus.ERROR, "node-failure"),
    ],
)
def test_states(state: str, status: JobStatus, reason: str | None) -> None:
    found = meaning(state)
    assert (found.status, found.reason) == (status, reason)


def test_a_state_that_nobody_knows_is_no_end() -> None:
    """aiida-core#4326: a word that is not known does not end a job."""
    assert meaning("QUANTUM_FLUX").status not in JOB_FINAL_STATES
    assert not job_outcomes.has_ended(row("QUANTUM_FLUX"))


def test_who_has_cancelled() -> None:
    assert cancelled_by("CANCELLED by 1000") == 1000
    assert cancelled_by("CANCELLED") is None
    assert canceller("CANCELLED by 0") == "by root (uid 0)"
    assert canceller("CANCELLED by 4000000") == "by uid 4000000"
    assert canceller("CANCELLED") == ""


def test_a_pending_job_says_why_and_since_when_it_is_expected() -> None:
    seen = job_outcomes.open_observation(row("PENDING", reason="Resources", started=0.0), 0)
    assert seen.status is JobStatus.QUEUED
    assert seen.message.startswith(
        "it is the next, and waits for what it asks for to become free (Resources); expected to start at 19"
    )
    assert job_outcomes.open_observation(row("PENDING", reason="Priority"), 0).message == (
        "others are before it (Priority)"
    )


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("PartitionTimeLimit", "longer walltime than its partition allows"),  # these four were recorded
        ("PartitionConfig", "its partition has not what it asks for"),
        ("BeginTime", "its time to start has not come (BeginTime)"),
        ("DependencyNeverSatisfied", "it never starts; cancel it"),
        ("(Resources)", "waits for what it asks for to become free (Resources)"),
        ("ReqNodeNotAvail,_UnavailableNodes:n[1-3]", "`sinfo -R` says why (ReqNodeNotAvail,_Unavail"),
        ("QOSMaxCpuPerUserLimit", "a limit of its quality of service is reached"),
        ("AssocGrpMemLimit", "a limit of your account is reached"),
        ("JobArrayTaskLimit", "as many tasks of its array run as may (JobArrayTaskLimit)"),
    ],
)
def test_a_reason_is_told_in_words_with_slurms_own_behind(reason: str, said: str) -> None:
    """hyperqueue's `task explain`: why is it not running."""
    assert said in reasons.in_words(reason)


def test_a_reason_that_is_not_known_is_told_as_it_is() -> None:
    assert reasons.in_words("SomethingOfTheNextVersion") == "SomethingOfTheNextVersion"
    assert reasons.in_words("") == ""


def test_what_the_spool_says_goes_before_an_older_answer() -> None:
    assert job_outcomes.open_observation(row("PENDING", restarts=0), 1).status is JobStatus.RUNNING
    requeued = job_outcomes.open_observation(row("PENDING", restarts=1), 1)
    assert (requeued.status, requeued.attempt) == (JobStatus.QUEUED, 2)


def test_a_requeued_attempt_that_is_being_ended_is_not_the_next_one() -> None:
    """Slurm counts the restart at once: what was seen as the next attempt stayed RUNNING."""
    ending = job_outcomes.open_observation(row("COMPLETING", restarts=1), 1)
    assert (ending.status, ending.attempt) == (JobStatus.RUNNING, 1)
    assert job_outcomes.open_observation(row("COMPLETING", restarts=1), 2).attempt == 2
    assert job_outcomes.open_observation(row("RUNNING", restarts=1), 1).attempt == 2


def test_an_end_that_slurm_brought_about_has_slurms_reason() -> None:
    ended = {"status": JobStatus.ERROR, "reason": "signal", "signal": 9, "peak_memory": 5, "host": "n1"}
    found = outcome(row("OUT_OF_MEMORY"), ended, 1)
    assert (found.reason, found.peak_memory, found.host, found.signal) == ("memory", 5, "n1", 9)
    found = outcome(row("TIMEOUT"), ended, 2)
    assert (found.reason, found.attempt) == ("walltime", 2)


def test_an_end_that_slurm_had_no_part_in_is_as_it_was_seen() -> None:
    ended = {"status": JobStatus.ERROR, "reason": "signal", "signal": 9, "message": "ended by SIGKILL"}
    found = outcome(row("FAILED", status=9), ended, 1)
    assert (found.reason, found.signal, found.message) == ("signal", 9, "ended by SIGKILL")


def test_a_failure_before_the_work_started_shows_the_log() -> None:
    found = outcome(row("FAILED", status=127 << 8), {}, 1, log="bash: python9: command not found")
    assert (found.reason, found.exit_code) == ("exit-code", 127)
    assert "python9: command not found" in found.message
    killed = outcome(row("FAILED", status=6), {}, 1)
    assert (killed.reason, killed.signal, killed.exit_code) == ("signal", 6, None)


def test_a_node_that_does_not_see_the_spool_is_told() -> None:
    found = outcome(row("FAILED", status=4021, reason="JobLaunchFailure"), {}, 1, spool="/scratch")
    assert found.reason == "node-failure"
    assert "does not see the spool /scratch" in found.message
    assert "option `spool`" in found.message


def test_completed_without_a_trace_is_lost_and_not_done() -> None:
    """aiida-core#1505: to have gone from the queue is not to have succeeded."""
    found = outcome(row("COMPLETED"), {}, 1)
    assert (found.status, found.reason) == (JobStatus.ERROR, "lost")


def test_cancelled_in_the_queue_never_started() -> None:
    found = outcome(row("CANCELLED", started=5.0, ended=6.0), {}, 1, by=f"by uid {os.getuid()}")
    assert (found.status, found.started, found.message) == (
        JobStatus.CANCELLED,
        None,
        f"by uid {os.getuid()}",
    )
