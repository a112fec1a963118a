"""What `durability = "full"` costs: the same commands and calls on the `local` backend, with it and without.

First, jobs a second: 300 `/bin/true` and 300 calls of `abs`, by one `run_many`, two at a time; the two
settings take turns. Then, where there is strace, how often one more job has something flushed to the disk:
by one `run_many`, where what happens within a moment is flushed together, and by one `run` after the other,
each waited for.

Usage: python benchmarks/durability.py [rounds]
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _local
import _side_by_side as bench

from anyjob import Call, Command, wait

JOBS = 300
WORK: dict[str, Any] = {"commands": Command(["/bin/true"]), "calls": Call(abs, (-1,))}


def rates(durability: str) -> dict[str, float]:
    """Return jobs a second, by what was run."""
    found = {}
    with (
        tempfile.TemporaryDirectory() as directory,
        _local.backend(directory, durability=durability) as backend,
    ):
        for name, spec in WORK.items():
            backend.run(spec).result(60)
            begun = time.perf_counter()
            wait(backend.run_many([spec] * JOBS))
            found[name] = JOBS / (time.perf_counter() - begun)
    return found


def run_jobs(durability: str, name: str, how: str, count: str) -> None:
    """Run some jobs; what is traced."""
    with (
        tempfile.TemporaryDirectory() as directory,
        _local.backend(directory, durability=durability) as backend,
    ):
        if how == "run_many":
            wait(backend.run_many([WORK[name]] * int(count)))
        else:
            for _ in range(int(count)):
                backend.run(WORK[name]).result(60)


def flushes(*what: str) -> float:
    """Return how often one more job has something flushed to the disk."""
    counted = []
    for count in (10, 60):
        with tempfile.NamedTemporaryFile() as log:
            trace = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", log.name]
            run = [sys.executable, __file__, "--jobs", *what, str(count)]
            subprocess.run([*trace, *run], check=True, timeout=600)
            lines = Path(log.name).read_text(encoding="utf-8").splitlines()
            counted.append(sum("sync(" in line for line in lines))
    return (counted[1] - counted[0]) / 50


def main() -> None:
    """Print jobs a second, the ratios round by round, and flushes a job."""
    if sys.argv[1:2] == ["--jobs"]:
        return run_jobs(*sys.argv[2:])
    measured: dict[str, list[dict[str, float]]] = {"normal": [], "full": []}
    for _ in range(bench.rounds(5)):
        for durability, found in measured.items():
            found.append(rates(durability))
    for name in WORK:
        for durability, found in measured.items():
            median = statistics.median(each[name] for each in found)
            print(f"{name}, {durability:8} {median:7.0f} jobs/s")
        pairs = zip(measured["full"], measured["normal"], strict=True)
        ratio = statistics.median(full[name] / normal[name] for full, normal in pairs)
        print(f"{name}: full runs at {ratio:.2f} of normal\n")
    if shutil.which("strace") is None:
        print("how often a job flushes is not measured: there is no strace")
        return None
    for name in WORK:
        for how in ("run_many", "run"):
            counts = ", ".join(f"{kind} {flushes(kind, name, how):.2f}" for kind in measured)
            print(f"{name} by {how:8} flushes a job: {counts}", flush=True)
    return None


if __name__ == "__main__":
    main()
