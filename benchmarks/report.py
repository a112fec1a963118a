"""Measures how long a report on many jobs takes, as a program, and how large it is.

    python benchmarks/report.py [--jobs 10000] [--keep report.html]

The jobs are written into a ledger of their own, in bulks of 100, with work of 150 characters each; one in ten
has failed. `anyjob report --html` is then started five times, and the median told, beside that of
`anyjob --version`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from anyjob.ledger.encoding import Context
from anyjob.ledger.rows import BackendRow, NewJob, Summary
from anyjob.ledger.store import Ledger
from anyjob.outcome import Outcome
from anyjob.status import JobStatus

BULK = 100
RUNS = 5
PROGRAM = [sys.executable, "-c", "from anyjob.cli import main; main()"]


def fill(state: Path, count: int, bulk: int = BULK) -> None:
    """Write jobs that have ended into a ledger."""
    ledger = Ledger(state)
    number = ledger.backend(BackendRow("f", "hpc", "slurm", "anyjob-slurm", {}, ""))
    context = Context(("python",), b'{"cpus":2,"memory":4294967296}', b"/home/me", "/e", sys.executable)
    chance = random.Random(7)
    for first in range(0, count, bulk):
        jobs = [
            NewJob(os.urandom(10).hex(), b"", summary=Summary(f"fit({n}, {'x' * 130})", {"seed": n}))
            for n in range(first, min(count, first + bulk))
        ]
        name = f"fit-{first // bulk % 20}"
        ledger.add(number, jobs, kind="python", native="python", context=context, name=name, tags={},
                   state=JobStatus.QUEUED)  # fmt: skip
        ledger.settle({job.job_id: _outcome(chance) for job in jobs})
    ledger.close()


def _outcome(chance: random.Random) -> Outcome:
    began = time.time() + chance.expovariate(1 / 300)
    took = chance.expovariate(1 / 120)
    common = {
        "started": began, "finished": began + took, "host": f"n{chance.randrange(16)}",
        "cpu_time": took * 1.4, "peak_memory": chance.randrange(1 << 32),
    }  # fmt: skip
    if chance.random() < 0.1:
        message = f"exit code {chance.randrange(1, 40)}"
        return Outcome(status=JobStatus.ERROR, reason="exit-code", message=message, **common)
    return Outcome(status=JobStatus.DONE, **common)


def median(*arguments: str, state: Path) -> float:
    """Return the median of the seconds that a command takes."""
    times = []
    for _ in range(RUNS):
        before = time.perf_counter()
        subprocess.run([*PROGRAM, *arguments], check=True, capture_output=True,
                       env={**os.environ, "ANYJOB_STATE": str(state)})  # fmt: skip
        times.append(time.perf_counter() - before)
    return statistics.median(times)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        state, page = Path(directory) / "state", Path(directory) / "report.html"
        fill(state, given.jobs)
        version = median("--version", state=state)
        took = median("report", "--html", str(page), "--limit", str(given.jobs), state=state)
        print(f"anyjob --version: {version:.2f} s")
        print(f"a report on {given.jobs:,} jobs: {took:.2f} s, {page.stat().st_size / 1e6:.2f} MB")
        if given.keep:
            shutil.copy(page, given.keep)


if __name__ == "__main__":
    main()
