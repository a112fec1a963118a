"""A program whose jobs take more memory than the nodes of a cluster are to give, so that Ray kills them.

It says what it should have seen and has not.
"""

from __future__ import annotations

import atexit
import faulthandler
import os
import sys
from typing import Any

import psutil
import ray_lab
import ray_work

from anyjob import Call, Config, Session

SPARE = 3_000_000_000
"""Bytes that may be taken, beside what is taken already: less than what the jobs take."""
PATIENCE = 100
"""Seconds that one step may take, on a machine that has much else to do."""


def one_alone(backend: Any, notes: str) -> None:
    """Of a job whose worker Ray kills for want of memory, the reason is that."""
    job = backend.run(Call("ray_work:noted", (notes, 0, (0,), "eat")))
    outcome = job.outcome(PATIENCE)
    assert outcome.reason == "memory", outcome
    assert "memory=" in outcome.message, outcome
    assert list(job.logs()) == ["call 0\n"], list(job.logs())
    with open(notes) as stream:
        assert len(stream.readlines()) == 1, "it was run again"


def one_of_many(backend: Any, notes: str) -> None:
    """The calls that were to be made by the same worker are made, once."""
    calls = [Call("ray_work:noted", (notes, number, (77,), "eat")) for number in range(100)]
    jobs = backend.run_many(calls)
    outcomes = [job.outcome(PATIENCE) for job in jobs]
    assert outcomes.pop(77).reason == "memory", outcomes
    assert {outcome.reason for outcome in outcomes} == {None}, outcomes
    with open(notes) as stream:
        numbers = sorted(int(line.split()[0]) for line in stream)
    assert numbers == list(range(100)), numbers


def main(state: str) -> None:
    assert SPARE < ray_work.TOO_MUCH
    memory = psutil.virtual_memory()
    if memory.available < ray_work.TOO_MUCH + SPARE:
        print(f"{memory.available:,} bytes of memory are too few to try what happens when they are taken")
        sys.exit(ray_lab.SKIPPED)
    os.environ.update(ray_lab.environment())
    threshold = (memory.total - memory.available + SPARE) / memory.total
    cluster = ray_lab.Cluster(2, memory_usage_threshold=threshold, memory_monitor_refresh_ms=50)
    atexit.register(cluster.stop)
    tables = {mode: {"type": "ray", "address": cluster.address, "mode": mode} for mode in ("fast", "durable")}
    with Session(Config.from_dict({"backends": tables}), state=state) as session:
        for name in tables:
            backend = session.get_backend(name)
            one_alone(backend, os.path.join(state, f"notes-{name}"))
            one_of_many(backend, os.path.join(state, f"many-{name}"))


if __name__ == "__main__":
    faulthandler.dump_traceback_later(4 * PATIENCE, exit=True)
    main(sys.argv[1])
