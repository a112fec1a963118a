"""How long it takes from the last moment of a job to the caller that waits for it, on the `local` backend.

Calls return the time at their end; what follows is the outcome written, the process reaped, the ledger
written, and the caller told. Beside it, from when the keeper has reaped it. One job after the other.

Usage: python benchmarks/local_latency.py [jobs]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time

import _local
import _side_by_side as bench

TARGET = 5.0


def main() -> bool:
    from anyjob import Call

    whole, told = [], []
    with tempfile.TemporaryDirectory() as directory, _local.backend(directory) as backend:
        backend.run(Call(time.time)).result(60)
        for _ in range(bench.rounds(200)):
            job = backend.run(Call(time.time))
            job.wait_for_final_state(timeout=60, wait=60)
            now = time.time()
            whole.append((now - job.result()) * 1000)
            told.append((now - job.outcome().finished) * 1000)
    for name, values in (("from the call's end", whole), ("from the keeper's reaping it", told)):
        low, middle, high = statistics.quantiles(values, n=4)
        print(
            f"{name:30} median {middle:.2f} ms, quartiles {low:.2f} to {high:.2f}, largest {max(values):.1f}"
        )
    return statistics.median(whole) < TARGET


if __name__ == "__main__":
    sys.exit(not main())
