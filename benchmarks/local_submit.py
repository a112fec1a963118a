"""How long 100,000 jobs take to be queued on the `local` backend, and cancelled; and the supervisor's memory.

Usage: python benchmarks/local_submit.py [jobs]
"""

from __future__ import annotations

import sys
import tempfile
import time

import _local
import _side_by_side as bench

TARGET = 10.0


def main() -> bool:
    from anyjob import Call, Command

    jobs = bench.rounds(100_000)
    with tempfile.TemporaryDirectory() as directory, _local.backend(directory, slots=1) as backend:
        gate = backend.run(Command(["sleep", "1000"]))
        while not gate.running():
            time.sleep(0.01)
        supervisor = _local.supervisor_of(backend)
        before = _local.resident(supervisor)
        calls = [Call(pow, (number, 2)) for number in range(jobs)]
        begun, own = time.perf_counter(), time.process_time()
        queued = backend.run_many(calls)
        submitted, own = time.perf_counter() - begun, time.process_time() - own
        after = _local.resident(supervisor)
        begun = time.perf_counter()
        accepted = sum(backend.cancel_many(queued))
        cancelled = time.perf_counter() - begun
        gate.cancel()
        print(
            f"{jobs} jobs queued in {submitted:.2f} s, cancelled in {cancelled:.2f} s ({accepted} accepted)"
        )
        last = _local.resident(supervisor)
        print(f"the client took {own / jobs * 1e6:.1f} us of a processor for each that was queued")
        print(
            f"supervisor: {before:.0f} MiB before, {after:.0f} with all queued, {last:.0f} after the cancel"
        )
    return submitted < TARGET * jobs / 100_000 and accepted == jobs


if __name__ == "__main__":
    sys.exit(not main())
