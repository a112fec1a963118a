"""Graphs on Dask and Ray: chains of calls by anyjob, next to the engine's own futures.

A cluster of this machine with two slots, jobs that live with this program, in turns: chains of calls each of
which takes the result of the one before, a small one and one of 8 MB; or only starts after it, by the engine,
and by this process; in brackets, the time of a processor in this process, where Dask's scheduler is, too.
With `durable`, short chains of jobs that outlive it, which only start after each other: by the engine, and by
a releaser of this host. It needs `anyjob-dask` or `anyjob-ray`.

Usage: python benchmarks/engine_graphs.py dask|ray [rounds] [durable]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from anyjob import Config, Session
from anyjob.runtime.dependencies import kept_results

DURABLE = "durable" in sys.argv
LINKS = 5 if DURABLE else 20
SIZES = {"1 byte": 1, "8 MB": 8_000_000}


def step(data: bytes) -> bytes:
    return bytes(reversed(data[:1])) + data[1:]


def step_after(data: bytes, before: bytes) -> bytes:
    return step(data)


def timed(chain: Callable[[], Any]) -> tuple[float, float]:
    """Return what a link takes, by the clock and of a processor, in milliseconds."""
    start, spent = time.perf_counter(), time.process_time()
    chain()
    took = time.perf_counter() - start, time.process_time() - spent
    return took[0] * 1000 / LINKS, took[1] * 1000 / LINKS


def ours(backend: Any, data: bytes) -> None:
    job = backend.run(step, data)
    for _ in range(LINKS):
        job = backend.run(step, job)
    job.result(300)


def ours_after(backend: Any, data: bytes, most_edges: int) -> None:
    usual, kept_results.MOST_EDGES = kept_results.MOST_EDGES, most_edges
    job = backend.run(step, data)
    for _ in range(LINKS):
        job = backend.run(step, data, after=job)
    kept_results.MOST_EDGES = usual
    job.result(300)


def main() -> None:
    engine = sys.argv[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as state:
        if engine == "dask":
            from distributed import Client, LocalCluster

            cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
            client = Client(cluster)
            options = {"address": cluster.scheduler_address, "durable": DURABLE, "isolation": "thread"}

            def bare(data: bytes) -> None:
                future = client.submit(step, data, pure=False)
                for _ in range(LINKS):
                    future = client.submit(step, future, pure=False)
                future.result()

            def bare_after(data: bytes) -> None:
                future = client.submit(step, data, pure=False)
                for _ in range(LINKS):
                    future = client.submit(step_after, data, future, pure=False)
                future.result()
        else:
            import ray

            ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
            os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address  # for the releaser
            options = {"mode": "durable" if DURABLE else "fast"}
            task, task_after = ray.remote(step), ray.remote(step_after)

            def bare(data: bytes) -> None:
                reference = task.remote(data)
                for _ in range(LINKS):
                    reference = task.remote(reference)
                ray.get(reference)

            def bare_after(data: bytes) -> None:
                reference = task.remote(data)
                for _ in range(LINKS):
                    reference = task_after.remote(data, reference)
                ray.get(reference)

        config = Config.from_dict({"backends": {"there": {"type": engine, **options}}})
        with Session(config, state=state) as session:
            backend = session.get_backend("there")
            data, most = b"x", kept_results.MOST_EDGES
            variants = [partial(ours_after, backend, data, edges) for edges in (most, 0)]
            compare(f"{engine}, after", partial(bare_after, data), *variants)
            for name, size in () if DURABLE else SIZES.items():
                data = b"x" * size
                compare(f"{engine}, {name}", partial(bare, data), partial(ours, backend, data))


def compare(name: str, bare: Callable[[], Any], *variants: Callable[[], Any]) -> None:
    """Print what a link takes: of each variant, and by the engine's own."""
    each = [*variants, bare]
    for chain in each:
        chain()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    times = [[timed(chain) for chain in each] for _ in range(rounds)]
    medians = [tuple(map(statistics.median, zip(*found, strict=True))) for found in zip(*times, strict=True)]
    told = [f"{took:.1f} ms ({spent:.1f} ms)" for took, spent in medians]
    by = ["", " by a releaser" if DURABLE else " held by this process"][: len(variants)]
    own = ", ".join(f"{text}{how}" for text, how in zip(told, by, strict=False))
    print(f"{name:12} a link: {own}; the engine's own {told[-1]}", flush=True)


if __name__ == "__main__":
    main()
