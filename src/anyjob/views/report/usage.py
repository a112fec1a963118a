"""How long jobs ran, how much they used of what they asked for, and what they cost, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from anyjob.views.report.figures import Group, grouped
from anyjob.views.reported_job import ReportedJob

GROUPS: dict[str, Callable[[ReportedJob], str]] = {
    "backend": lambda job: job.backend,
    "name": lambda job: job.name,
    "kind": lambda job: job.kind,
    "host": lambda job: job.host,
    "day": lambda job: datetime.fromtimestamp(job.submitted).strftime("%Y-%m-%d"),
}
"""What jobs can be summed up by, and how a job tells it."""


def summed_up(jobs: Iterable[ReportedJob], keys: Sequence[str], now: float) -> list[Group]:
    """Return the figures of the jobs that have these of `GROUPS` in common."""
    return grouped(jobs, lambda job: tuple(GROUPS[key](job) for key in keys), now)


def as_plain(keys: Iterable[str], group: Group) -> dict[str, Any]:
    """Return a group as plain data; seconds are those between starts and ends, or until now."""
    return dict(_fields(keys, group))


def _fields(keys: Iterable[str], group: Group) -> Iterator[tuple[str, Any]]:
    yield from zip(keys, group.key, strict=True)
    yield from {
        "jobs": group.jobs,
        "done": group.done,
        "failed": group.failed,
        "seconds": round(group.hours * 3600, 3),
        "core_hours": group.core_hours,
        "gpu_hours": group.gpu_hours,
        "cpu_efficiency": group.cpu_use,
        "memory_efficiency": group.memory_use,
        "median_waited": group.waited,
        "median_ran": group.ran,
        "cost": group.cost,
    }.items()
