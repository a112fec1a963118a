"""How much memory calls with large data take on `processes`, at its peak, next to a `ProcessPoolExecutor`.

What is measured is the proportional set size of the program and its workers together: what they share counts
once. Each variant runs in a program of its own, in turns, with an address space that is bounded.

Usage: python benchmarks/processes_memory.py [rounds]
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor as BareExecutor
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import _side_by_side as bench

ENVIRONMENT = bench.ROOT / ".venv-bench-memory"
SLOTS = 2
SIZE = 80_000_000
CALLS = 30
RESULTS = 5
ITEMS = 1000
LIMIT = 1.2
BOUND = 12 << 30
"""Bytes of address space that a program may have."""
YOUNG = 0.05
"""Seconds of age up to which a process is not looked at."""
PEER = "ProcessPoolExecutor"
SPAWNED = "the same, spawned"
"""Its workers are not forked, as ours are not: they import by themselves what they need."""
Map = Callable[..., Sequence[Any]]


def total(array: Any, _: int = 0) -> float:
    return float(array.sum())


def make(number: int) -> Any:
    import numpy

    return numpy.full(SIZE // 8, float(number))


def shared(run: Map, big: Any) -> Any:
    return run(functools.partial(total, big), range(CALLS))


def argument(run: Map, big: Any) -> Any:
    return run(total, [big] * CALLS)


def result(run: Map, big: Any) -> Any:
    del big
    return run(make, range(RESULTS))


def items(run: Map, big: Any) -> Any:
    import numpy

    return run(total, numpy.array_split(big, ITEMS))


CASES = {case.__name__: case for case in (shared, argument, result, items)}


def of_executor(executor: BareExecutor) -> Map:
    def run(fn: Any, arguments: Any) -> list[Any]:
        futures = [executor.submit(fn, one) for one in arguments]
        return [futures, [future.result() for future in futures]]

    return run


def of_backend(backend: Any) -> Map:
    def run(fn: Any, arguments: Any) -> list[Any]:
        jobs = backend.map(fn, arguments)
        return [jobs, [job.result() for job in jobs]]

    return run


class Peak:
    """Looks at the memory of a process and its children all the time, in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--watch", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def mebibytes(self) -> float:
        return float(self._process.communicate(b"\n")[0]) / (1 << 20)


def watch(pid: int) -> None:
    asked = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), asked.set()), daemon=True).start()
    peak = 0
    seen: dict[int, float] = {}
    print(flush=True)
    while not asked.wait(0.002):
        now = time.monotonic()
        # A child that is about to become another program has its parent's memory: it would count twice.
        found = [pid, *(one for one in children(pid) if now - seen.setdefault(one, now) > YOUNG)]
        peak = max(peak, sum(map(proportional, found)))
    print(peak)


def children(pid: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        found = [
            one for task in tasks for one in Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        ]
    except OSError:
        return []
    return [int(one) for one in found if int(one) != os.getpid()]


def proportional(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def run_variant(case: str, how: str) -> None:
    """Run one case one way, and print the peak."""
    import numpy

    from anyjob import Config, Executor, Registry, Session

    resource.setrlimit(resource.RLIMIT_AS, (BOUND, BOUND))
    big = numpy.ones(SIZE // 8)
    peak = Peak()
    if how in (PEER, SPAWNED):
        context = multiprocessing.get_context("fork" if how == PEER else "spawn")
        with ProcessPoolExecutor(SLOTS, context) as executor:
            kept = CASES[case](of_executor(executor), big)
            print(peak.mebibytes(), len(kept))
        return
    config = Config.from_dict(
        {"backends": {"p": {"type": "processes", "slots": SLOTS}}}, origin="this benchmark"
    )
    with Session(config=config, registry=Registry()) as session:
        backend = session.get_backend("p")
        run = of_backend(backend) if how == "backend.map" else of_executor(Executor(backend))
        kept = CASES[case](run, big)
        print(peak.mebibytes(), len(kept))


def main() -> int:
    python = bench.environment("numpy", directory=ENVIRONMENT)
    ways = [PEER, SPAWNED, "backend.map", "anyjob.Executor"]
    peaks: dict[tuple[str, str], list[float]] = {(case, how): [] for case in CASES for how in ways}
    for _ in range(bench.rounds(3)):
        for case, how in peaks:
            said = subprocess.run(
                [str(python), __file__, "--variant", case, how], capture_output=True, text=True, timeout=600
            )
            if said.returncode:
                raise SystemExit(f"{case}, {how}: {said.stderr}")
            peaks[case, how].append(float(said.stdout.split()[0]))
    print(f"an array of {SIZE / 1e6:g} MB, {SLOTS} slots; at the peak, of the program and its workers\n")
    good = True
    for (case, how), values in peaks.items():
        ratio = statistics.median(mine / other for mine, other in zip(values, peaks[case, PEER], strict=True))
        kept = ratio <= LIMIT or how == SPAWNED
        good &= kept
        mark = "" if kept else f"   <- more than {LIMIT:g}"
        print(f"{case:10} {how:20} {statistics.median(values):7.0f} MiB   {ratio:5.2f}{mark}")
    return 0 if good else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--watch"]:
        watch(int(sys.argv[2]))
    elif sys.argv[1:2] == ["--variant"]:
        run_variant(sys.argv[2], sys.argv[3])
    else:
        sys.exit(main())
