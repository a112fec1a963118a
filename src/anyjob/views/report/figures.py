"""The figures of a report: how many, how long, how well what was asked for was used, and what failed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import NamedTuple

from anyjob.text.printable import shortened
from anyjob.views.reported_job import ReportedJob

MOST_FAILURES = 30
"""Kinds of failures that are told, at most: the most frequent."""
MOST_NAMES = 50
_VARYING = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-f]{8,}\b|\d+")
_DIGITS = re.compile(r"(\d{1,18})", re.ASCII)
LONGEST_MESSAGE = 400


class Group(NamedTuple):
    """What some jobs have in common, and their figures.

    Args:
        waited: the median of the seconds that they waited; None where none has started.
        ran: the median of the seconds that they ran.
        core_hours: cores that they had asked for, times the hours that they ran.
        gpu_hours: the same of accelerators.
        cpu_use: which part of their cores' time they computed, from 0 to 1; None where it is not known.
        memory_use: which part of the memory that they had asked for they needed.
    """

    key: tuple[str, ...]
    jobs: int
    states: dict[str, int]
    waited: float | None
    ran: float | None
    hours: float
    core_hours: float
    gpu_hours: float
    cpu_use: float | None
    memory_use: float | None
    cost: dict[str, float]

    @property
    def done(self) -> int:
        """How many are DONE."""
        return self.states.get("DONE", 0)

    @property
    def failed(self) -> int:
        """How many are ERROR."""
        return self.states.get("ERROR", 0)


class Failure(NamedTuple):
    """A kind of failure: its reason, what was said of it, all such jobs, and where they ran."""

    reason: str
    message: str
    jobs: tuple[ReportedJob, ...]
    hosts: tuple[tuple[str, int], ...]


def grouped(
    jobs: Iterable[ReportedJob], by: Callable[[ReportedJob], tuple[str, ...]], now: float
) -> list[Group]:
    """Return the figures of each group of jobs, by key."""
    members: dict[tuple[str, ...], list[ReportedJob]] = defaultdict(list)
    for job in jobs:
        members[by(job)].append(job)
    return [figures(key, members[key], now) for key in sorted(members)]


def figures(key: tuple[str, ...], jobs: Sequence[ReportedJob], now: float) -> Group:
    """Return the figures of some jobs."""
    waits = [job.waited for job in jobs if job.waited is not None]
    runs = [(job, ran) for job in jobs if (ran := job.ran(now)) is not None]
    measured = [(job, ran) for job, ran in runs if job.cpu_time is not None and ran > 0]
    sized = [job for job in jobs if job.memory and job.peak_memory is not None]
    costs: dict[str, float] = defaultdict(float)
    for job in jobs:
        if job.cost is not None:
            costs[job.currency] += job.cost
    return Group(
        key,
        len(jobs),
        dict(sorted(Counter(job.state for job in jobs).items())),
        median(waits) if waits else None,
        median(ran for _, ran in runs) if runs else None,
        sum(ran for _, ran in runs) / 3600,
        sum(ran * job.cpus for job, ran in runs) / 3600,
        sum(ran * job.gpus for job, ran in runs) / 3600,
        _part(sum(job.cpu_time or 0.0 for job, _ in measured), sum(ran * job.cpus for job, ran in measured)),
        _part(sum(job.peak_memory or 0 for job in sized), sum(job.memory or 0 for job in sized)),
        dict(costs),
    )


def _part(used: float, asked: float) -> float | None:
    return used / asked if asked else None


def failures(jobs: Iterable[ReportedJob]) -> list[Failure]:
    """Return the kinds of failures, the most frequent first: messages that differ in numbers are one kind.

    Exit codes mean something to the program that ends with them: of each, there is a kind.
    """
    kinds: dict[tuple[str, str, int | None], list[ReportedJob]] = defaultdict(list)
    for job in jobs:
        if job.state == "ERROR":
            pattern = _VARYING.sub("#", shortened(job.message, LONGEST_MESSAGE))
            kinds[job.reason, pattern, job.exit_code].append(job)
    found = [_failure(reason, pattern, some) for (reason, pattern, _), some in kinds.items()]
    return sorted(found, key=lambda failure: -len(failure.jobs))[:MOST_FAILURES]


def _failure(reason: str, pattern: str, jobs: list[ReportedJob]) -> Failure:
    said = {job.message for job in jobs}
    message = said.pop() if len(said) == 1 else pattern.replace("#", "…")
    return Failure(
        reason, message, tuple(jobs), tuple(Counter(job.host for job in jobs if job.host).most_common(5))
    )


def lanes(spans: Iterable[tuple[float, float]]) -> list[int]:
    """Return for each span of time, by its beginning, the first lane in which nothing overlaps it."""
    from heapq import heappop, heappush

    ends: list[tuple[float, int]] = []
    free: list[int] = []
    found, count = [], 0
    for begin, end in spans:
        while ends and ends[0][0] <= begin:
            heappush(free, heappop(ends)[1])
        if free:
            lane = heappop(free)
        else:
            lane, count = count, count + 1
        found.append(lane)
        heappush(ends, (end, lane))
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    """Return what sorts n2 before n10."""
    return [
        (int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in _DIGITS.split(name)
    ]


class Bar(NamedTuple):
    """A job in a timeline: where it ran, in which lane of that place, from when to when."""

    job: ReportedJob
    place: str
    lane: int
    begin: float
    end: float


def timeline(jobs: Iterable[ReportedJob], now: float) -> list[Bar]:
    """Return who ran where when: for each place, the host or else the backend, its jobs in lanes."""
    places: dict[str, list[tuple[float, float, ReportedJob]]] = defaultdict(list)
    for job in jobs:
        if job.started is not None and (ran := job.ran(now)) is not None:
            places[job.host or job.backend].append((job.started, job.started + ran, job))
    bars = []
    for place in sorted(places, key=_natural):
        some = sorted(places[place], key=lambda each: each[:2])
        for (begin, end, job), lane in zip(some, lanes((each[0], each[1]) for each in some), strict=True):
            bars.append(Bar(job, place, lane, begin, end))
    return bars
