"""How many Python calls a second the `local` backend runs, durably and each in a process of its own.

2,000 calls of `abs`, two at a time, next to a bare fork loop in a process of the size of a zygote, and to
Dask's LocalCluster of two workers (which forks nothing: these run call after call). The variants take turns.

Usage: python benchmarks/local_calls.py [rounds]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import _local
import _side_by_side as bench

CALLS = 2000
PEERS = ("distributed",)
TARGETS = {"fork loop": 0.5, "dask": 1}


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return CALLS / (time.perf_counter() - begun)


def loop() -> float:
    # What a zygote has imported.
    import ctypes  # noqa: F401
    import gc
    import pickle  # noqa: F401
    import select  # noqa: F401
    import signal  # noqa: F401
    import traceback  # noqa: F401

    def work() -> None:
        left, running = CALLS, 0
        while left or running:
            while left and running < _local.WIDTH:
                if os.fork() == 0:
                    os._exit(0)
                left, running = left - 1, running + 1
            os.wait()
            running -= 1

    gc.freeze()
    return timed(work)


def anyjob_local() -> float:
    import anyjob
    from anyjob import Call

    with _local.backend(tempfile.mkdtemp()) as backend:
        backend.run(Call(abs, (1,))).result(60)
        return timed(lambda: anyjob.wait(backend.map(abs, range(CALLS))))


def dask() -> float:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=_local.WIDTH, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.gather(client.map(abs, range(10), pure=False))
        return timed(lambda: client.gather(client.map(abs, range(CALLS), pure=False)))


VARIANTS = {"fork loop": loop, "anyjob local": anyjob_local, "dask": dask}


def main() -> bool:
    rates = _local.take_turns(__file__, [*VARIANTS], bench.rounds(5), PEERS)
    return _local.report(rates, "anyjob local", TARGETS)


if __name__ == "__main__":
    if name := _local.variant():
        print(VARIANTS[name]())
    else:
        sys.exit(not main())
