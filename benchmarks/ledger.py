"""Measures what a job costs in the ledger as that grows to a million jobs, and what looking for some costs.

    python benchmarks/ledger.py [--jobs 1000000] [--plot docs/explanation/ledger-growth.svg]

Only the ledger is measured, with nothing running: what is written for a job when it is submitted (in bulks of
1,000, and alone), and when it ends (50 at a time, as a busy supervisor writes them).
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from anyjob.ledger.encoding import Context
from anyjob.ledger.rows import BackendRow, NewJob
from anyjob.ledger.store import Ledger
from anyjob.outcome import Outcome
from anyjob.status import JobStatus

BULK = 1000
TOGETHER = 50
SAMPLES = 30
PAYLOAD = bytes(200)
KINDS = ("submitted in a bulk of 1,000", "ended, 50 at a time", "submitted alone")
COLOURS = ("#1f77b4", "#2ca02c", "#d62728")


class Growth:
    """A ledger that grows, and what its last jobs have cost."""

    def __init__(self, state: Path) -> None:
        self.ledger = Ledger(state)
        row = BackendRow("f", "laptop", "local", "anyjob", {"slots": 2}, os.uname().nodename)
        self.backend = self.ledger.backend(row)
        self.context = Context(
            ("python",), b"{}", b"/home/me", "/state/env/0", sys.executable, tuple(sys.path)
        )
        self.size = 0
        self.bulks = 0

    def add(self, count: int) -> list[str]:
        """Submit jobs at once; return their ids."""
        jobs = [NewJob(os.urandom(10).hex(), PAYLOAD) for _ in range(count)]
        self.ledger.add(
            self.backend,
            jobs,
            kind="python",
            native="python",
            context=self.context,
            name=f"sweep {self.bulks % 500}",
            tags={"study": str(self.bulks % 100)},
            state=JobStatus.QUEUED,
            shared=PAYLOAD,
        )
        self.bulks += 1
        self.size += count
        return [job.job_id for job in jobs]

    def end(self, job_ids: list[str]) -> None:
        """Have jobs end, one in a hundred of them badly."""
        now = time.time()
        done = Outcome(status=JobStatus.DONE, started=now, finished=now, value=b"x" * 50, host="h")
        failed = Outcome(status=JobStatus.ERROR, reason="exit-code", started=now, finished=now, host="h")
        for start in range(0, len(job_ids), TOGETHER):
            some = job_ids[start : start + TOGETHER]
            self.ledger.settle({job_id: failed if job_id.startswith("00") else done for job_id in some})

    def grow(self, size: int) -> list[float]:
        """Grow, and return the median cost of a job at that size, in microseconds, for each of `KINDS`."""
        bulk: list[float] = []
        ended: list[float] = []
        while self.size < size:
            took, job_ids = timed(lambda: self.add(min(BULK, size - self.size)))
            bulk.append(took / len(job_ids))
            took, _ = timed(lambda ids=job_ids: self.end(ids))  # type: ignore[misc]
            ended.append(took / len(job_ids))
        alone = [timed(lambda: self.add(1))[0] for _ in range(SAMPLES)]
        return [statistics.median(each[-SAMPLES:]) * 1e6 for each in (bulk, ended, alone)]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def look(ledger: Ledger) -> None:
    """Print what it costs to look for jobs, and to open the ledger for that."""
    since = time.time() - 1.0
    asked = {
        "the newest 50": lambda: ledger.select(limit=50),
        "the newest 50 of a name": lambda: ledger.select(name="sweep 7", limit=50),
        "the newest 50 that failed": lambda: ledger.select(states=[JobStatus.ERROR], limit=50),
        "the newest 50 that wait or run": lambda: ledger.select(
            states=[JobStatus.QUEUED, JobStatus.RUNNING], limit=50
        ),
        "those of a name that failed": lambda: ledger.select(name="sweep 7", states=[JobStatus.ERROR]),
        "the newest 50 of a tag": lambda: ledger.select(tags={"study": "7"}, limit=50),
        "the newest 50 of a backend": lambda: ledger.select(backends=[1], limit=50),
        "the newest 50 since a second ago": lambda: ledger.select(since=since, limit=50),
        "a name that there is not": lambda: ledger.select(name="none", limit=50),
        "an id by its first 7 digits": lambda: ledger.by_prefix("abcdef1"),
    }
    print(f"\nlooking, over {ledger.counts()}:")
    for what, ask in asked.items():
        ledger.close()  # the next one opens it anew, with nothing in memory
        took, found = timed(ask)
        print(f"  {what:<32} {took * 1000:8.1f} ms  ({len(found)} found)")


# --- the plot -------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 360, 60, 50, 20, 20


def plot(sizes: list[int], costs: list[list[float]]) -> str:
    """Return the curves as SVG: jobs in the ledger, and microseconds a job, both on logarithmic scales."""
    low, high = 1.0, 10 ** math.ceil(math.log10(max(map(max, costs))))

    def x(size: float) -> float:
        span = math.log10(sizes[-1]) - math.log10(sizes[0])
        return LEFT + (math.log10(size) - math.log10(sizes[0])) / span * (WIDTH - LEFT - RIGHT)

    def y(cost: float) -> float:
        share = (math.log10(cost) - math.log10(low)) / (math.log10(high) - math.log10(low))
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        "<title>What a job costs as the ledger grows</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for size in (10**power for power in range(3, 7) if sizes[0] <= 10**power <= sizes[-1]):
        parts.append(
            f'<line x1="{x(size):.1f}" y1="{TOP}" x2="{x(size):.1f}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>'
            f'<text x="{x(size):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{size:,}</text>'
        )
    cost = low
    while cost <= high:
        parts.append(
            f'<line x1="{LEFT}" y1="{y(cost):.1f}" x2="{WIDTH - RIGHT}" y2="{y(cost):.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 6}" y="{y(cost) + 4:.1f}" text-anchor="end">{cost:g}</text>'
        )
        cost *= 10
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">jobs in the ledger</text>')
    parts.append(
        f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        "microseconds a job</text>"
    )
    for number, (kind, colour) in enumerate(zip(KINDS, COLOURS, strict=True)):
        points = " ".join(f"{x(s):.1f},{y(c[number]):.1f}" for s, c in zip(sizes, costs, strict=True))
        label = y(costs[-1][number]) - 8
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{WIDTH - RIGHT - 4}" y="{label:.1f}" text-anchor="end" fill="{colour}">{kind}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--state", type=Path, help="keep the ledger here")
    given = parser.parse_args()
    sizes = [
        size for size in (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000) if size <= given.jobs
    ]
    with tempfile.TemporaryDirectory() as directory:
        growth = Growth(given.state or Path(directory) / "state")
        print(
            f"{'jobs':>10}  " + "  ".join(f"{kind:>28}" for kind in KINDS) + "   (microseconds a job, median)"
        )
        costs = []
        for size in sizes:
            costs.append(growth.grow(size))
            print(f"{size:>10,}  " + "  ".join(f"{cost:>28.1f}" for cost in costs[-1]), flush=True)
        look(growth.ledger)
        growth.ledger.close()
        print(f"  the file has {growth.ledger.path.stat().st_size / growth.size:.0f} bytes a job")
    if given.plot:
        given.plot.write_text(plot(sizes, costs))
        print(f"plotted in {given.plot}")


if __name__ == "__main__":
    main()
