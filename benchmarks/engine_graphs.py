"""Results as arguments on Dask and Ray: chains of calls by anyjob, next to the engine's own futures.

A cluster of this machine with two slots, jobs that live with this program, in turns: chains of calls each of
which takes the result of the one before, a small one and one of 8 MB; in brackets, the time of a processor
in this process, where Dask's scheduler is, too. It needs `anyjob-dask` or `anyjob-ray`.

Usage: python benchmarks/engine_graphs.py dask|ray [rounds]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from anyjob import Config, Session

LINKS = 20
SIZES = {"1 byte": 1, "8 MB": 8_000_000}


def step(data: bytes) -> bytes:
    return bytes(reversed(data[:1])) + data[1:]


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


def main() -> None:
    engine, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as state:
        if engine == "dask":
            from distributed import Client, LocalCluster

            cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
            client = Client(cluster)
            options = {"address": cluster.scheduler_address, "durable": False, "isolation": "thread"}

            def bare(data: bytes) -> None:
                future = client.submit(step, data, pure=False)
                for _ in range(LINKS):
                    future = client.submit(step, future, pure=False)
                future.result()
        else:
            import ray

            ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
            options = {}
            task = ray.remote(step)

            def bare(data: bytes) -> None:
                reference = task.remote(data)
                for _ in range(LINKS):
                    reference = task.remote(reference)
                ray.get(reference)

        config = Config.from_dict({"backends": {"there": {"type": engine, **options}}})
        with Session(config, state=state) as session:
            backend = session.get_backend("there")
            for name, size in SIZES.items():
                data = b"x" * size
                ours(backend, data), bare(data)
                times = [
                    (*timed(partial(ours, backend, data)), *timed(partial(bare, data))) for _ in range(rounds)
                ]
                own, own_cpu, engines, engines_cpu = map(statistics.median, zip(*times, strict=True))
                print(
                    f"{engine}, {name:6}: {own:.1f} ms a link ({own_cpu:.1f} ms), "
                    f"the engine's own {engines:.1f} ms ({engines_cpu:.1f} ms)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
