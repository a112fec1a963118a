"""What becomes of a job, by what the scheduler says and what is in its directory. Pure."""

from __future__ import annotations

import time
from typing import Any

from anyjob.batch.dialect import Row
from anyjob.orders import Observation
from anyjob.outcome import Outcome
from anyjob.status import JOB_FINAL_STATES, JobStatus


def has_ended(row: Row) -> bool:
    """Whether the scheduler says that the job has ended."""
    return row.status in JOB_FINAL_STATES


def leaves_outcome(row: Row) -> bool:
    """Whether a job that ended like this has had the time to say what came of it."""
    return row.status is JobStatus.DONE or row.reason == "exit-code"


def open_observation(row: Row, started: int) -> Observation:
    """Return where a job is that has not ended.

    Args:
        row: what the scheduler says.
        started: the last attempt that is known to have started, by other means; 0: none.
    """
    waits = row.status is JobStatus.QUEUED
    attempt = max(row.attempt, started + 1 if row.requeued and waits and not row.attempt else started, 1)
    if waits and started == attempt:
        return Observation(JobStatus.RUNNING, attempt=attempt)
    return Observation(row.status, message=_why_it_waits(row) if waits else row.message, attempt=attempt)


def _why_it_waits(row: Row) -> str:
    if row.started is None:
        return row.message
    expected = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.started))
    return "; ".join(text for text in (row.message, f"expected to start at {expected}") if text)


def outcome(
    row: Row, ended: dict[str, Any], attempt: int, *, title: str, spool: str = "", log: str = "", by: str = ""
) -> Outcome:
    """Return what came of a job that has ended, as is said, and that has left no verdict of its own.

    Args:
        row: what the scheduler says.
        ended: what was seen of its end on its node, as the fields of an `Outcome`; may be empty.
        attempt: which attempt it was.
        title: what the scheduler is called.
        spool: below what its directory is.
        log: the end of what was said before the work started.
        by: who has cancelled it, in words.
    """
    known: dict[str, Any] = {
        "started": row.started if row.host else None,
        "finished": row.ended,
        "host": row.host,
        "attempt": attempt,
    }
    known |= {key: value for key, value in ended.items() if value not in (None, "")}
    if ended and (leaves_outcome(row) or row.reason == "signal"):
        return Outcome(**known)  # the scheduler had no part in it
    for own in ("status", "reason", "message", "exit_code", "value", "exception", "traceback"):
        known.pop(own, None)
    if row.status is JobStatus.CANCELLED:
        return Outcome(status=row.status, message=by or row.message, **known)
    if row.status is JobStatus.DONE:
        message = (
            f"{title} says that it has completed, and nothing that it has left is seen here: does its node "
            f"see the spool {spool} (option `spool`)?"
        )
        return Outcome(
            status=JobStatus.ERROR, reason="lost", message=_with_log(message, log), exit_code=0, **known
        )
    if row.reason in ("exit-code", "signal"):
        return _failed(row, known, log)
    message = row.message
    if row.unlaunched:
        message = (
            f"{title} could not launch it: most often since its node does not see the spool {spool}, "
            "which has to be a directory that all nodes see (option `spool`)"
        )
    return Outcome(status=row.status, reason=row.reason, message=_with_log(message, log), **known)


def _failed(row: Row, known: dict[str, Any], log: str) -> Outcome:
    """It has failed before the work could say anything."""
    known.pop("signal", None)
    how = f"signal {row.signal}" if row.signal else f"exit code {row.exit_code}"
    message = (
        f"it failed before the work started, with {how}" if row.reason == "exit-code" else f"ended by {how}"
    )
    return Outcome(
        status=JobStatus.ERROR,
        reason=row.reason,
        message=_with_log(row.message or message, log),
        exit_code=row.exit_code,
        signal=row.signal,
        **known,
    )


def _with_log(message: str, log: str) -> str:
    return f"{message}: {log}" if log else message
