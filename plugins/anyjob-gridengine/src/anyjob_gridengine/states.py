"""What Grid Engine's words for where jobs are, and how they have ended, mean."""

from __future__ import annotations

import re
import time
from typing import Any

from anyjob import JobStatus

RESCHEDULED = ("24", "25")
"""What ``failed`` is in the accounting of a start that was not the last."""


def status_of(state: str) -> tuple[JobStatus, str]:
    """Read letters, as of ``qw``, ``hqw``, ``Rr``, ``Eqw``: where a job is, and what to say of that."""
    messages = {
        "E": "in an error state",
        "d": "being deleted",
        "s": "suspended",
        "S": "suspended",
        "T": "suspended",
    }
    message = next((messages[letter] for letter in state if letter in messages), "")
    if "q" in state or "w" in state:
        return JobStatus.QUEUED, message or ("held" if "h" in state else "")
    return JobStatus.RUNNING, message


def how_it_ended(said: dict[str, str]) -> dict[str, Any]:
    """Return what a record of the accounting tells of an end, as fields of a row."""
    failed, _, why = said["failed"].partition(":")
    code = int(said["exit_status"].split()[0])  # what follows a code above 128 may be nonsense
    if failed.strip() == "37":
        limit = re.search(r"h_rt=(\d+)", said.get("category", ""))
        took = float(said.get("ru_wallclock", "0").strip().removesuffix("s") or 0)
        by_time = limit is not None and took >= int(limit[1])
        reason = "walltime" if by_time or "h_vmem" not in said.get("category", "") else "memory"
        return {
            "status": JobStatus.ERROR,
            "reason": reason,
            "message": f"Grid Engine ended it: {why.strip()}",
        }
    if failed.strip() == "100" and code > 128:
        return {"status": JobStatus.ERROR, "reason": "signal", "signal": code - 128}
    if failed.strip() not in ("0", "100"):
        return {
            "status": JobStatus.ERROR,
            "reason": "node-failure",
            "message": f"failed {said['failed'].strip()}",
        }
    if code:
        return {"status": JobStatus.ERROR, "reason": "exit-code", "exit_code": code}
    return {"status": JobStatus.DONE, "exit_code": 0}


def task_ranges(text: str) -> tuple[range, ...] | None:
    """Read the tasks of an array, as ``1,3,7-9:1``; None where there are none."""
    found = re.findall(r"(\d+)(?:-(\d+)(?::(\d+))?)?", text)
    return tuple(range(int(a), int(b or a) + 1, int(step or 1) or 1) for a, b, step in found) or None


def timestamp(text: str) -> float | None:
    """Read a time, which is local; None where there is none."""
    try:
        return time.mktime(time.strptime(text.strip(), "%a %b %d %H:%M:%S %Y"))
    except (ValueError, OverflowError):
        return None
