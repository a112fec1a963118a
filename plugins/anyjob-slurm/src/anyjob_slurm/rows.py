"""Reads what ``squeue`` and ``sacct`` print. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from anyjob import JobStatus
from anyjob.sdk import Row
from anyjob_slurm.reasons import in_words
from anyjob_slurm.states import cancelled_by, meaning

SEPARATOR = "\x1f"
"""Between the fields of ``squeue``: what no name, reason or node has in it."""
QUEUE_FIELDS = (
    "ArrayJobID",
    "ArrayTaskID",
    "State",
    "RestartCnt",
    "exit_code",
    "StartTime",
    "EndTime",
    "BatchHost",
    "Reason",
    "Name",
    "HetJobOffset",
)
QUEUE_FORMAT = ",".join(f"{field}:{SEPARATOR}" for field in QUEUE_FIELDS)
"""For ``squeue -O``: fields without a size are not cut."""
HISTORY_FIELDS = ("JobID", "State", "ExitCode", "Start", "End", "NodeList", "JobName")
HISTORY_FORMAT = ",".join(HISTORY_FIELDS)
"""For ``sacct -o``, with ``-P`` (``--parsable2``)."""
LAUNCH_FAILURES = ("JobLaunchFailure", "RaisedSignal:53(Real-time_signal_19)")
FIRST_ODD_SIGNAL = 50
"""What ends no program: so Slurm tells that it could not launch one."""
SUBTRACTED = 128
"""What ``sacct`` takes away from an exit code that is as large or larger; ``squeue`` does not."""

_TASKS = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")


def queue_rows(text: str) -> Iterator[Row]:
    """Read ``squeue -h -O`` with `QUEUE_FORMAT`. A line that is none of its own is passed over."""
    for line in text.split("\n"):
        fields = line.split(SEPARATOR)
        if len(fields) < len(QUEUE_FIELDS) or not fields[0].strip().isdecimal():
            continue
        job, tasks, state, restarts, status, started, ended, host, reason, name, component = map(
            str.strip, fields[: len(QUEUE_FIELDS)]
        )
        if _number(component):  # of a heterogeneous job the first one counts, which has the script
            continue
        # One that is requeued counts as restarted while the attempt before has not come to its end.
        attempt = (_number(restarts) or 0) + (state != "COMPLETING")
        said = how_it_is(state, _known(reason), _number(status) or 0)
        said |= _when_and_where(started, ended, host)
        yield Row(job, tasks=task_ranges(tasks), name=name, attempt=attempt, **said)


def history_rows(text: str) -> Iterator[Row]:
    """Read ``sacct -n -X -P`` with `HISTORY_FORMAT`."""
    for line in text.split("\n"):
        fields = line.split("|", len(HISTORY_FIELDS) - 1)
        if len(fields) < len(HISTORY_FIELDS):
            continue
        job_id, state, status, started, ended, host, name = fields
        job, array, tasks = job_id.strip().removesuffix("+0").partition("_")
        if not job.isdecimal():
            continue  # a step, or a component of a heterogeneous job that is not its first
        ranges = task_ranges(tasks.strip("[]")) if array else None
        said = how_it_is(state, "", exit_status(status))
        if 0 < (said.get("exit_code") or 0) < SUBTRACTED:
            code = said["exit_code"]
            either = f"exit code {code} or {code + SUBTRACTED}, which the accounting does not tell apart"
            said["message"] = f"it failed before the work started, with {either}"
        yield Row(job, tasks=ranges, name=name, **said, **_when_and_where(started, ended, host))


def how_it_is(state: str, reason: str, status: int) -> dict[str, Any]:
    """Return what a state means, as fields of a row.

    Args:
        state: in Slurm's words.
        reason: why it waits, or why it has failed, in Slurm's words.
        status: the exit status as ``wait`` gives it.
    """
    found = meaning(state)
    said: dict[str, Any] = {"status": found.status, "reason": found.reason, "message": found.message}
    if found.status is JobStatus.QUEUED:
        said["message"] = found.message or in_words(reason)
    elif found.status is JobStatus.CANCELLED:
        said["cancelled_by"] = canceller(state)
    elif found.reason == "exit-code":
        code, number = exit_code(status)
        if reason in LAUNCH_FAILURES or (number or 0) >= FIRST_ODD_SIGNAL:
            said |= {"reason": "node-failure", "unlaunched": True}
        elif number:
            said |= {"reason": "signal", "signal": number}
        else:
            said["exit_code"] = code or SUBTRACTED
    elif found.status is JobStatus.ERROR and reason:
        said["message"] = f"{found.message} ({reason})"
    return said


def _when_and_where(started: str, ended: str, host: str) -> dict[str, Any]:
    return {"started": timestamp(started), "ended": timestamp(ended), "host": _known(host)}


def canceller(state: str) -> str:
    """Say who has cancelled a job, where ``CANCELLED by 1000`` tells."""
    uid = cancelled_by(state)
    if uid is None:
        return ""
    try:
        import pwd

        return f"by {pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"by uid {uid}"


def task_ranges(text: str) -> tuple[range, ...] | None:
    """Read the tasks of an array: ``3-9:2,12%4``. None where there are none (``N/A``)."""
    found = []
    for part in text.partition("%")[0].split(","):
        match = _TASKS.fullmatch(part.strip())
        if match is not None:
            first, last, step = match.groups()
            found.append(range(int(first), int(last or first) + 1, int(step or 1) or 1))
    return tuple(found) or None


def timestamp(text: str) -> float | None:
    """Read a time of Slurm's, which is local; None where it knows of none."""
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def exit_status(text: str) -> int:
    """Read ``code:signal``, as ``sacct`` writes it; returns a status as ``wait`` gives it."""
    code, _, signal = text.strip().partition(":")
    return (_number(code) or 0) % 256 << 8 | (_number(signal) or 0) % 128


def exit_code(status: int) -> tuple[int | None, int | None]:
    """Return exit code and signal of a status, one of which is None."""
    if os.WIFSIGNALED(status):
        return None, os.WTERMSIG(status)
    return status >> 8 & 0xFF, None


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None


def _known(text: str) -> str:
    text = text.strip()
    return "" if text.lower() in ("n/a", "none", "(null)", "unknown", "none assigned") else text
