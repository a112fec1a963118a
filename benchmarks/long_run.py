"""What a client keeps of 200,000 jobs in a row, of a handle that is held, and of 10,000 awaits at once.

Usage: python benchmarks/long_run.py [jobs] [backend ...]
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import threading
import time
import tracemalloc
from typing import Any

import _local
import _side_by_side as bench

BATCH = 5000
HELD_AT_MOST = 1024
"""Bytes that a held handle on a finished job may take."""
KEPT_AT_MOST = 16
"""Bytes a job that nobody holds may leave: allocators' slack over 200,000 jobs, not something for each."""

CACHE = {"local": 16.0}
"""MiB that a client has for SQLite's page cache, which fills as the ledger grows, and no further."""


def state() -> tuple[float, int, int]:
    gc.collect()
    return _local.resident(os.getpid()), len(os.listdir("/proc/self/fd")), threading.active_count()


def batch(backend: Any, size: int) -> list[Any]:
    from anyjob import Call

    return finished(backend, [Call(abs, (-number,)) for number in range(size)])


def finished(backend: Any, specs: list[Any]) -> list[Any]:
    from anyjob import wait

    jobs: list[Any] = backend.run_many(specs)
    wait(jobs)
    return jobs


def in_a_row(backend: Any, jobs: int, cache: float = 0.0) -> bool:
    batch(backend, BATCH)
    batch(backend, BATCH)
    first = state()
    print(f"  after {2 * BATCH:7} jobs: {first[0]:6.1f} MiB, {first[1]} descriptors, {first[2]} threads")
    begun = time.perf_counter()
    for done in range(BATCH, jobs + 1, BATCH):
        batch(backend, BATCH)
        if done % (jobs // 4) == 0:
            now = state()
            print(
                f"  {done:7} jobs later: {now[0]:6.1f} MiB, {now[1]} descriptors, {now[2]} threads",
                flush=True,
            )
    last = state()
    grown = last[0] - first[0]
    kept = max(0.0, grown - cache) * 2**20 / jobs
    rate = jobs / (time.perf_counter() - begun)
    print(f"  {grown:.1f} MiB more, of which SQLite's cache may be {cache:.0f}")
    print(f"  {kept:.1f} bytes a job beyond that (at most {KEPT_AT_MOST}), {rate:.0f} jobs/s", flush=True)
    return kept <= KEPT_AT_MOST and last[1] <= first[1] and last[2] <= first[2]


def held(backend: Any) -> bool:
    from anyjob import Call

    specs = [Call(abs, (-number,)) for number in range(2 * BATCH)]  # they are the caller's
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    jobs = finished(backend, specs)
    gc.collect()
    size = (tracemalloc.get_traced_memory()[0] - before) / len(jobs)
    if "-v" in sys.argv:
        for line in tracemalloc.take_snapshot().statistics("lineno")[:25]:
            print("   ", line)
    tracemalloc.stop()
    print(f"  {size:.0f} bytes a handle that is held (at most {HELD_AT_MOST})")
    return size <= HELD_AT_MOST


async def awaited(backend: Any) -> None:
    from anyjob import Call

    jobs = await asyncio.to_thread(backend.run_many, [Call(abs, (-number,)) for number in range(10_000)])

    async def one(job: Any) -> Any:
        return await job

    before = state()
    begun = time.perf_counter()
    results = await asyncio.gather(*(one(job) for job in jobs))
    assert results == list(range(10_000))
    after = state()
    seconds = time.perf_counter() - begun
    more = f"{after[1] - before[1]:+} descriptors, {after[2] - before[2]:+} threads"
    print(f"  10,000 awaits at once: {seconds:.1f} s, {more}", flush=True)


def main() -> bool:
    from anyjob import get_backend

    jobs = bench.rounds(200_000)
    names = [each for each in sys.argv[2:] if not each.startswith("-")] or [
        "inline",
        "threads",
        "processes",
        "local",
    ]
    good = True
    for name in names:
        with tempfile.TemporaryDirectory() as directory:
            print(name)
            os.environ["ANYJOB_STATE"] = os.path.join(directory, "state")
            if name == "local":
                with _local.backend(directory) as backend:
                    daemons = [_local.supervisor_of(backend)] if batch(backend, 1) else []
                    before = _local.resident(daemons[0])
                    good &= in_a_row(backend, jobs, CACHE[name])
                    print(f"  supervisor: {before:.1f} MiB, then {_local.resident(daemons[0]):.1f}")
                    good &= held(backend)
                    asyncio.run(awaited(backend))
            else:
                backend = get_backend(name)
                good &= in_a_row(backend, jobs)
                good &= held(backend)
                asyncio.run(awaited(backend))
    return good


if __name__ == "__main__":
    sys.exit(not main())
