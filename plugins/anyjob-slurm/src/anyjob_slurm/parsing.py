"""Reads what Slurm's programs print. Pure: testable without Slurm."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

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
)
QUEUE_FORMAT = ",".join(f"{field}:{SEPARATOR}" for field in QUEUE_FIELDS)
"""For ``squeue -O``: fields without a size are not cut."""
HISTORY_FIELDS = ("JobID", "State", "ExitCode", "Start", "End", "NodeList", "JobName")
HISTORY_FORMAT = ",".join(HISTORY_FIELDS)
"""For ``sacct -o``, with ``-P`` (``--parsable2``)."""

_NAME = re.compile(r"anyjob-([0-9a-f]{20})$")
_TASKS = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")


class Row(NamedTuple):
    """What Slurm says of a job, or of tasks of an array that are alike.

    Args:
        job: Slurm's id of the job, or of the whole array.
        tasks: the tasks that it is about; None where the job is no array.
        state: in Slurm's words.
        restarts: how often it was requeued; None where that is not told.
        status: the exit status as ``wait`` gives it.
        started: in seconds since 1970; of a pending job when it is expected to.
        ended: in seconds since 1970.
        host: the node that its script runs on.
        why: why it waits, or why it failed, in Slurm's words.
        name: what it is called.
    """

    job: str
    tasks: tuple[range, ...] | None
    state: str
    restarts: int | None = None
    status: int = 0
    started: float | None = None
    ended: float | None = None
    host: str = ""
    reason: str = ""
    name: str = ""


def queue_rows(text: str) -> list[Row]:
    """Read ``squeue -h -O`` with `QUEUE_FORMAT`. A line that is none of its own is passed over."""
    rows = []
    for line in text.split("\n"):
        fields = line.split(SEPARATOR)
        if len(fields) < len(QUEUE_FIELDS) or not fields[0].strip().isdecimal():
            continue
        job, tasks, state, restarts, status, started, ended, host, reason, name = map(
            str.strip, fields[: len(QUEUE_FIELDS)]
        )
        rows.append(
            Row(
                job,
                task_ranges(tasks),
                state,
                restarts=_number(restarts),
                status=_number(status) or 0,
                started=timestamp(started),
                ended=timestamp(ended),
                host=_known(host),
                reason=_known(reason),
                name=name,
            )
        )
    return rows


def history_rows(text: str) -> list[Row]:
    """Read ``sacct -n -X -P`` with `HISTORY_FORMAT`."""
    rows = []
    for line in text.split("\n"):
        fields = line.split("|", len(HISTORY_FIELDS) - 1)
        if len(fields) < len(HISTORY_FIELDS):
            continue
        job_id, state, status, started, ended, host, name = fields
        job, tasks = split_id(job_id)
        if not job.isdecimal():
            continue  # a step, or a component of a heterogeneous job
        rows.append(
            Row(
                job,
                tasks,
                state,
                status=exit_status(status),
                started=timestamp(started),
                ended=timestamp(ended),
                host=_known(host),
                name=name,
            )
        )
    return rows


def split_id(native_id: str) -> tuple[str, tuple[range, ...] | None]:
    """Take an id of Slurm's apart: ``7`` is ``("7", None)``, ``7_3`` and ``7_[3-5%2]`` have tasks, too."""
    job, array, tasks = native_id.strip().partition("_")
    return job, task_ranges(tasks.strip("[]")) if array else None


def task_ranges(text: str) -> tuple[range, ...] | None:
    """Read the tasks of an array: ``3-9:2,12%4``. None where there are none (``N/A``)."""
    found = []
    for part in text.partition("%")[0].split(","):
        match = _TASKS.fullmatch(part.strip())
        if match is not None:
            first, last, step = match.groups()
            found.append(range(int(first), int(last or first) + 1, int(step or 1) or 1))
    return tuple(found) or None


def condensed(native_ids: Iterable[str]) -> list[str]:
    """Write ids as ``scancel`` takes them, the tasks of an array as one: ``7_[0-2,5]``."""
    alone: list[str] = []
    tasks: dict[str, set[int]] = {}
    for native_id in native_ids:
        job, ranges = split_id(native_id)
        if ranges is None:
            alone.append(job)
        else:
            tasks.setdefault(job, set()).update(number for each in ranges for number in each)
    return alone + [f"{job}_[{','.join(_ranges_of(numbers))}]" for job, numbers in tasks.items()]


def _ranges_of(numbers: Collection[int]) -> Iterator[str]:
    for _, run in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}"


def submitted_job(text: str) -> str | None:
    """Read the id that ``sbatch --parsable`` prints: ``7``, or ``7;cluster``; None where there is none.

    What a site's plugins print before it is passed over.
    """
    for line in reversed(text.split("\n")):
        job = line.strip().partition(";")[0]
        if job.isdecimal():
            return job
    return None


def error_message(text: str) -> str:
    """Return in one line what a program of Slurm's complains of, without its own name before it."""
    found: dict[str, None] = {}
    for line in text.split("\n"):
        words = re.sub(r"^\w+: (error: |fatal: )?", "", line.strip()).strip()
        words = words.removeprefix("Batch job submission failed: ")
        if words:
            found[words] = None
    return "; ".join(found)


def job_id_in_name(name: str) -> str | None:
    """Return the id of ours at the end of a job's name; None where there is none."""
    match = _NAME.search(name)
    return match[1] if match else None


def refused_ids(text: str) -> set[str]:
    """Read the ids that ``scancel`` complains of."""
    return set(re.findall(r"job id (\d+(?:_\d+)?)[: ]", text))


def array_limit(text: str) -> int | None:
    """Read MaxArraySize out of ``scontrol show config``."""
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", text, re.MULTILINE)
    return int(match[1]) if match else None


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


def chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Cut a list into parts of at most this size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None


def _known(text: str) -> str:
    text = text.strip()
    return "" if text.lower() in ("n/a", "none", "(null)", "unknown", "none assigned") else text
