"""Outcomes of the jobs of the `local` backend, from what the keeper tells and what the runner has left."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.jobs.scheduled_job import ScheduledJob
from anyjob.errors import DependencyFailedError, JobRejectedError
from anyjob.execution.child_program import exit_outcome
from anyjob.outcome import USAGE, Outcome
from anyjob.spool import job_spool
from anyjob.spool.reports import parse_outcome
from anyjob.status import JobStatus

PREEMPTED = "anyjob.errors.Preempted"
"""What a call raises that ends when it is told that its walltime is near."""


def from_event(event: dict[str, Any], job: ScheduledJob, paths: RuntimePaths) -> Outcome:
    """Return what came of a job whose process has ended.

    Args:
        event: what the keeper says of it.
        job: what the queue knows of it.
        paths: where its spool is.
    """
    known: dict[str, Any] = {
        "started": event.get("started"),
        "finished": event.get("finished"),
        **{name: event.get(name) for name in USAGE},
        "host": paths.host,
        "attempt": event["attempt"],
    }
    report = event.get("report")
    left = from_spool(job, paths) if report is None else parse_outcome(report)
    cause, code = event.get("cause"), event["code"]
    was_preempted = left is not None and PREEMPTED in left.exception_types
    takes_report = cause is None or (cause == "warned" and not was_preempted)
    if left is not None and (takes_report or left.status is JobStatus.DONE):
        return msgspec.structs.replace(
            left, **{name: value for name, value in known.items() if value is not None}
        )
    number = -code if code < 0 else None
    if cause == "cancel":
        return Outcome(status=JobStatus.CANCELLED, signal=number, **known)
    if cause == "warned":
        message = "it ended when it was told that its walltime was near"
        return Outcome(status=JobStatus.ERROR, reason="walltime", message=message, signal=number, **known)
    if cause == "walltime":
        message = f"it ran longer than the {job.resources.walltime or 0:g} s that were asked for"
        return Outcome(status=JobStatus.ERROR, reason="walltime", message=message, signal=number, **known)
    if cause == "memory":
        message = event.get("message") or "it used more memory than it had asked for"
        return Outcome(status=JobStatus.ERROR, reason="memory", message=message, signal=number, **known)
    if cause == "start-failed":
        message = event.get("message") or "it could not be started"
        return Outcome(status=JobStatus.ERROR, reason="exit-code", exit_code=code, message=message, **known)
    outcome = exit_outcome(code, **known)
    if job.is_call:
        if outcome.status is JobStatus.DONE:
            outcome.status, outcome.reason = JobStatus.ERROR, "exit-code"
        outcome.message = (
            f"the call ended its process ({outcome.message or 'exit code 0'}) and left no result"
        )
    return outcome


def from_spool(job: ScheduledJob, paths: RuntimePaths) -> Outcome | None:
    """Return what the runner left of a call, or the tasks of a job; None where nothing, or nothing whole."""
    if not job.is_call and job.resources.tasks is None:
        return None
    try:
        left = job_spool.read_outcome(job_spool.path_of(paths.spool, job.job_id))
    except Exception:  # what a torn or strange file does to pickle is not to be foreseen
        return None
    if left is not None:
        left.attempt = job.attempt
        left.host = left.host or paths.host
    return left


def lost(job: ScheduledJob) -> Outcome:
    """Return the outcome of a job that ran when its keeper, or the machine, went away."""
    return Outcome(
        status=JobStatus.ERROR,
        reason="lost",
        message="the keeper of the local backend, or the machine, went away while it ran, or before its end "
        "was noted; it was not run again, since it was not marked restartable",
        finished=time.time(),
        attempt=job.attempt,
    )


def cancelled(attempt: int) -> Outcome:
    """Return the outcome of a job that was cancelled, and of which the keeper does not tell."""
    return Outcome(status=JobStatus.CANCELLED, finished=time.time(), attempt=attempt)


def not_started(error: Exception, attempt: int) -> Outcome:
    """Return the outcome of a job that no order can be made of."""
    if isinstance(error, JobRejectedError):
        reason, message = "rejected", str(error)
    elif isinstance(error, DependencyFailedError):
        reason, message = "dependency", str(error)
    else:
        reason, message = "exception", f"it cannot be started: {type(error).__name__}: {error}"
    return Outcome(
        status=JobStatus.ERROR, reason=reason, message=message, finished=time.time(), attempt=attempt
    )
