"""What becomes of a job, by what Slurm says and what is in its directory. Pure."""

from __future__ import annotations

import time
from typing import Any

from anyjob import JOB_FINAL_STATES, JobStatus, Observation, Outcome
from anyjob_slurm import reasons
from anyjob_slurm.parsing import Row, exit_code
from anyjob_slurm.states import cancelled_by, meaning


def has_ended(row: Row) -> bool:
    """Whether Slurm says that the job has ended."""
    return meaning(row.state).status in JOB_FINAL_STATES


def leaves_outcome(row: Row) -> bool:
    """Whether a job that ended like this has had the time to say what came of it."""
    found = meaning(row.state)
    return found.status is JobStatus.DONE or found.reason == "exit-code"


def open_observation(row: Row, started: int) -> Observation:
    """Return where a job is that has not ended.

    Args:
        row: what Slurm says.
        started: the last attempt that is known to have started, by other means; 0: none.
    """
    found = meaning(row.state)
    # One that is requeued counts as restarted already while the attempt before has not come to its end.
    begun = (row.restarts or 0) + (row.state != "COMPLETING")
    attempt = max(begun, started, 1)
    if found.status is JobStatus.QUEUED and started == attempt:
        return Observation(JobStatus.RUNNING, attempt=attempt)
    message = found.message or (pending_reason(row) if found.status is JobStatus.QUEUED else "")
    return Observation(found.status, message=message, attempt=attempt)


def pending_reason(row: Row) -> str:
    """Say why a job waits, with Slurm's word for it, and when it is expected to start."""
    message = reasons.in_words(row.reason)
    if row.started is not None:
        expected = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.started))
        start = f"expected to start at {expected}"
        return f"{message}; {start}" if message else start
    return message


def outcome(
    row: Row, ended: dict[str, Any], attempt: int, *, spool: str = "", log: str = "", by: str = ""
) -> Outcome:
    """Return what came of a job that Slurm says has ended, and that has left no verdict of its own.

    Args:
        row: what Slurm says.
        ended: what was seen of its end on its node, as the fields of an `Outcome`; may be empty.
        attempt: which attempt it was.
        spool: below what its directory is.
        log: the end of what was said before the work started.
        by: who has cancelled it, in words.
    """
    found = meaning(row.state)
    known: dict[str, Any] = {
        "started": row.started if row.host else None,
        "finished": row.ended,
        "host": row.host,
        "attempt": attempt,
    }
    known |= {key: value for key, value in ended.items() if value not in (None, "")}
    if ended and leaves_outcome(row):
        return Outcome(**known)  # Slurm had no part in it
    for own in ("status", "reason", "message", "exit_code", "value", "exception", "traceback"):
        known.pop(own, None)
    if found.status is JobStatus.CANCELLED:
        return Outcome(status=found.status, message=by or found.message, **known)
    if found.status is JobStatus.DONE:
        message = (
            "Slurm says that it has completed, and nothing that it has left is seen here: does its node see "
            f"the spool {spool} (option `spool`)?"
        )
        return Outcome(
            status=JobStatus.ERROR, reason="lost", message=_with_log(message, log), exit_code=0, **known
        )
    if found.reason == "exit-code":
        return _failed(row, known, spool, log)
    message = found.message + (f" ({row.reason})" if row.reason and row.reason != "None" else "")
    return Outcome(status=found.status, reason=found.reason, message=_with_log(message, log), **known)


def _failed(row: Row, known: dict[str, Any], spool: str, log: str) -> Outcome:
    """It has failed before the work could say anything."""
    code, number = exit_code(row.status)
    known.pop("signal", None)
    if row.reason in ("JobLaunchFailure", "RaisedSignal:53(Real-time_signal_19)") or (number or 0) >= 50:
        message = (
            f"Slurm could not launch it: most often since its node does not see the spool {spool}, which has "
            "to be a directory that all nodes see (option `spool`)"
        )
        return Outcome(
            status=JobStatus.ERROR, reason="node-failure", message=_with_log(message, log), **known
        )
    how = f"signal {number}" if number else f"exit code {code}"
    message = f"it failed before the work started, with {how}"
    reason = "signal" if number else "exit-code"
    return Outcome(
        status=JobStatus.ERROR,
        reason=reason,
        message=_with_log(message, log),
        exit_code=code,
        signal=number,
        **known,
    )


def _with_log(message: str, log: str) -> str:
    return f"{message}: {log}" if log else message


def canceller(row: Row | None) -> str:
    """Say who has cancelled a job, where Slurm tells."""
    uid = cancelled_by(row.state) if row is not None else None
    if uid is None:
        return ""
    try:
        import pwd

        return f"by {pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"by uid {uid}"
