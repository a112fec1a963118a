"""Jobs in the trace format that Chrome and Perfetto read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from anyjob.text.printable import printable
from anyjob.views.report.figures import timeline
from anyjob.views.reported_job import ReportedJob

MICROSECONDS = 1_000_000


def trace(jobs: Iterable[ReportedJob], now: float) -> str:
    """Return a trace: a process for each place, a thread for each job that ran there at the same time.

    Beside them are two counters, of the jobs that wait and that run.
    """
    jobs = list(jobs)
    events = [*_bars(jobs, now), *_counters(jobs, now)]
    return json.dumps({"displayTimeUnit": "ms", "traceEvents": events})


def _bars(jobs: list[ReportedJob], now: float) -> Iterator[dict[str, Any]]:
    numbers: dict[str, int] = {}
    for bar in timeline(jobs, now):
        if bar.place not in numbers:
            numbers[bar.place] = len(numbers) + 1
            yield {
                "ph": "M",
                "name": "process_name",
                "pid": numbers[bar.place],
                "args": {"name": printable(bar.place)},
            }
        job = bar.job
        yield {
            "ph": "X",
            "name": printable(job.name or job.work or job.kind or job.job_id),
            "cat": printable(job.backend),
            "ts": round(bar.begin * MICROSECONDS),
            "dur": round((bar.end - bar.begin) * MICROSECONDS),
            "pid": numbers[bar.place],
            "tid": bar.lane + 1,
            "cname": {"DONE": "good", "ERROR": "terrible", "CANCELLED": "grey"}.get(job.state, "yellow"),
            "args": {
                "job_id": job.job_id,
                "state": job.state,
                "reason": printable(job.reason),
                "work": printable(job.work),
                "waited": job.waited,
                "cpus": job.cpus,
            },
        }


def _counters(jobs: list[ReportedJob], now: float) -> Iterator[dict[str, Any]]:
    """Yield how many wait and run, whenever that changes."""
    changes: list[tuple[float, int, int]] = []
    for job in jobs:
        ran = job.ran(now)
        begun = job.started if job.started is not None else job.finished
        changes.append((job.submitted, 1, 0))
        if begun is not None:
            changes.append((begun, -1, 0))
        if job.started is not None and ran is not None:
            changes += [(job.started, 0, 1), (job.started + ran, 0, -1)]
    waiting = running = 0
    for when, waits, runs in sorted(changes):
        waiting, running = waiting + waits, running + runs
        yield {
            "ph": "C",
            "name": "jobs",
            "pid": 0,
            "ts": round(when * MICROSECONDS),
            "args": {"waiting": waiting, "running": running},
        }
