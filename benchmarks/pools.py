"""How many trivial calls a second the pools run, next to the standard library's executors of the same size.

The variants take turns within each round, and the throughputs of one round are compared with each
other; the median of these ratios is printed.

Usage: python benchmarks/pools.py [rounds]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor as BareExecutor
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import _side_by_side as bench

from anyjob import Call, Config, Executor, Registry, Session

SLOTS = 2
CALLS = 2000
TARGETS = {"processes": 0.6, "threads": 0.3}


def bare(executor: BareExecutor) -> None:
    for future in [executor.submit(abs, number) for number in range(CALLS)]:
        future.result()


def by_run(backend: Any) -> None:
    for job in [backend.run(Call(abs, (number,))) for number in range(CALLS)]:
        job.result()


def by_map(backend: Any) -> None:
    for job in backend.map(abs, range(CALLS)):
        job.result()


def seconds(variant: Callable[[], None]) -> float:
    start = time.perf_counter()
    variant()
    return time.perf_counter() - start


def compare(name: str, peer: BareExecutor, backend: Any, rounds: int) -> bool:
    """Print the throughputs, and the ratios to the peer's; return whether they are good enough."""
    own = f"{name}: "
    variants: dict[str, Callable[[], None]] = {
        type(peer).__name__: lambda: bare(peer),
        own + "backend.run": lambda: by_run(backend),
        own + "backend.map": lambda: by_map(backend),
        own + "anyjob.Executor": lambda: bare(Executor(backend)),
    }
    times: dict[str, list[float]] = {label: [] for label in variants}
    for number in range(-1, rounds):  # one round to start the workers
        for label, variant in variants.items():
            took = seconds(variant)
            if number >= 0:
                times[label].append(took)
    reference = times[type(peer).__name__]
    good = True
    for label, values in times.items():
        ratio = statistics.median(r / v for r, v in zip(reference, values, strict=True))
        enough = label.endswith("Executor") or ratio >= TARGETS[name]  # the targets are the backends'
        good &= enough
        mark = "" if enough else f"   <- less than {TARGETS[name]:g}"
        print(f"{label:28} {CALLS / statistics.median(values):9.0f} calls/s   {ratio:5.2f}{mark}")
    print()
    return good


def main() -> int:
    rounds = bench.rounds(9)
    config = Config.from_dict(
        {"backends": {name: {"type": name, "slots": SLOTS} for name in TARGETS}}, origin="this benchmark"
    )
    print(f"{CALLS} calls of abs() a round, {SLOTS} slots; the ratio is to the first line of each block\n")
    with (
        Session(config=config, registry=Registry()) as session,
        ProcessPoolExecutor(SLOTS) as processes,
        ThreadPoolExecutor(SLOTS) as threads,
    ):
        good = compare("processes", processes, session.get_backend("processes"), rounds)
        good &= compare("threads", threads, session.get_backend("threads"), rounds)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
