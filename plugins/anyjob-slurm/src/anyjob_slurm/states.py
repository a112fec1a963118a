"""What Slurm's words for the state of a job mean."""

from __future__ import annotations

from typing import NamedTuple

from anyjob import JobStatus


class Meaning(NamedTuple):
    """What a state means: where the job is, and where it has failed, why."""

    status: JobStatus
    reason: str | None = None
    message: str = ""


_QUEUED = Meaning(JobStatus.QUEUED)
_RUNNING = Meaning(JobStatus.RUNNING)

MEANINGS: dict[str, Meaning] = {
    "PENDING": _QUEUED,
    "CONFIGURING": Meaning(JobStatus.QUEUED, message="its nodes are being made ready"),
    "REQUEUED": _QUEUED,
    "REQUEUE_FED": _QUEUED,
    "REQUEUE_HOLD": Meaning(JobStatus.QUEUED, message="requeued, and held: `scontrol release` lets it go on"),
    "SPECIAL_EXIT": Meaning(JobStatus.QUEUED, message="requeued, and held, after a special exit code"),
    "RESV_DEL_HOLD": Meaning(JobStatus.QUEUED, message="held, since its reservation was deleted"),
    "EXPEDITING": _QUEUED,
    "POWER_UP_NODE": _QUEUED,
    "RUNNING": _RUNNING,
    "COMPLETING": _RUNNING,
    "RESIZING": _RUNNING,
    "SIGNALING": _RUNNING,
    "STAGE_OUT": _RUNNING,
    "STOPPED": Meaning(JobStatus.RUNNING, message="stopped, with its processors held"),
    "SUSPENDED": Meaning(JobStatus.RUNNING, message="suspended"),
    "UPDATE_DB": _RUNNING,
    "COMPLETED": Meaning(JobStatus.DONE),
    "CANCELLED": Meaning(JobStatus.CANCELLED),
    "REVOKED": Meaning(JobStatus.CANCELLED, message="another cluster of the federation has taken it"),
    "FAILED": Meaning(JobStatus.ERROR, "exit-code"),
    "TIMEOUT": Meaning(JobStatus.ERROR, "walltime", "Slurm ended it at its time limit"),
    "DEADLINE": Meaning(JobStatus.ERROR, "walltime", "Slurm ended it at its deadline"),
    "OUT_OF_MEMORY": Meaning(JobStatus.ERROR, "memory", "it needed more memory than it was given"),
    "NODE_FAIL": Meaning(JobStatus.ERROR, "node-failure", "a node that it ran on has failed"),
    "BOOT_FAIL": Meaning(JobStatus.ERROR, "node-failure", "a node that it was given did not boot"),
    "LAUNCH_FAILED": Meaning(JobStatus.ERROR, "node-failure", "it could not be launched on its node"),
    "RECONFIG_FAIL": Meaning(JobStatus.ERROR, "node-failure", "its node could not be configured anew"),
    "PREEMPTED": Meaning(
        JobStatus.ERROR, "node-failure", "preempted by another job, and not requeued: it is not restartable"
    ),
}
"""The states of Slurm 22.05 to 25.05, as ``squeue`` and ``sacct`` write them."""

UNKNOWN_STATE = Meaning(JobStatus.QUEUED, message="Slurm calls its state by a word that is not known here")
"""What a state means that a later Slurm may bring: the job is not over."""


def meaning(state: str) -> Meaning:
    """Return what a state means. What follows the first word (``CANCELLED by 1000``) is passed over."""
    word = state.strip().partition(" ")[0].rstrip("+").upper()
    return MEANINGS.get(word, UNKNOWN_STATE)


def cancelled_by(state: str) -> int | None:
    """Return the uid that ``CANCELLED by 1000`` names; None where it names none."""
    word, _, uid = state.strip().partition(" by ")
    return int(uid) if word == "CANCELLED" and uid.strip().isdecimal() else None
