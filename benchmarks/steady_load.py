"""What client, supervisor, keeper and the processes that make calls have, while jobs come for an hour.

Each round hands over calls that are forked, calls of workers, and programs, in bulk and alone, of two
backends of one machine; some of them are held and released, given another priority, and cancelled. Rounds
are spread over the minutes asked for, and each job's outcome is looked at. What is printed, a tenth of the
minutes apart, is resident memory in MiB, descriptors and threads. It is good if at the end no process has
more threads or descriptors than in the first two lines, and none has grown by more than `GROWTH` since.

Usage: python benchmarks/steady_load.py [minutes] [jobs]
"""

from __future__ import annotations

import collections
import gc
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _local

ROUND = 250
"""Jobs of a round."""
GROWTH = 8.0
"""MiB that a process may grow by: allocators' slack, and SQLite's cache, which fills as the ledger grows."""


def figures(pid: int) -> tuple[float, int, int]:
    """Return resident memory in MiB, descriptors and threads of a process."""
    return (
        _local.resident(pid),
        len(os.listdir(f"/proc/{pid}/fd")),
        len(os.listdir(f"/proc/{pid}/task")),
    )


def of_calls(keeper: int) -> list[int]:
    """Return the processes that the keeper has while no job runs: the zygotes, and their workers."""
    parents: dict[int, list[int]] = collections.defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.read_text().rsplit(")", 1)[1].split()[1])].append(int(entry.parent.name))
        except OSError:
            continue
    found, left = [], [keeper]
    while left:
        children = parents[left.pop()]
        found += children
        left += children
    return found


def one_round(fork: Any, reuse: Any, number: int) -> collections.Counter[str]:
    """Run a round, and return how many came to which end."""
    from anyjob import Call, Command, hold, release, set_priority, wait

    size = (ROUND - 10) // 3
    jobs = [fork.run(Call(abs, (-1,))), reuse.run(Call(abs, (-2,))), fork.run(Command(["true"]))]
    held = [backend.run(Call(abs, (-3,)), name="held") for backend in (fork, reuse, fork)]
    hold(held)
    jobs += fork.run_many([Call(abs, (-n,)) for n in range(size)], name="forked")
    jobs += reuse.run_many([Call(abs, (-n,)) for n in range(size)], name="reused")
    jobs += fork.run_many([Command(["true"])] * size, name="programs")
    set_priority(jobs[-3:], number % 7)
    release(held)
    lasting = [fork.run(Command(["sleep", "600"])) for _ in range(2)]
    lasting += [reuse.run(Call("time:sleep", (600,)), priority=3) for _ in range(2)]
    for job in lasting:
        job.cancel()
    wait([*jobs, *held, *lasting])
    return collections.Counter(job.status().name for job in [*jobs, *held, *lasting])


def main() -> bool:
    from anyjob.builtin.local.locks import lock_holder

    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    rounds = (int(sys.argv[2]) if len(sys.argv) > 2 else 100_000) // ROUND
    ends: collections.Counter[str] = collections.Counter()
    seen: list[dict[str, tuple[float, int, int]]] = []
    with (
        tempfile.TemporaryDirectory() as directory,
        _local.backend(directory) as fork,
        _local.backend(directory, isolation="reuse") as reuse,
    ):
        begun = time.monotonic()
        print(f"{'jobs':>8}  {'minutes':>7}  client           supervisor       keeper           for calls")
        for number in range(rounds):
            ends += one_round(fork, reuse, number)
            if number % max(1, rounds // 10) == 0 or number == rounds - 1:
                gc.collect()
                supervisor, keeper = _local.supervisor_of(fork), lock_holder(fork._paths.keeper_lock)
                assert keeper is not None
                rest = [figures(pid) for pid in of_calls(keeper) if os.path.exists(f"/proc/{pid}/fd")]
                total = sum(each[0] for each in rest), sum(each[1] for each in rest), len(rest)
                names = {"client": os.getpid(), "supervisor": supervisor, "keeper": keeper}
                now = {name: figures(pid) for name, pid in names.items()}
                seen.append(now)
                told = "  ".join(
                    f"{size:6.1f} {files:4} {threads:4}" for size, files, threads in now.values()
                )
                told += f"  {total[0]:6.1f} {total[1]:4} of {total[2]}"
                spent = (time.monotonic() - begun) / 60
                print(f"{sum(ends.values()):8}  {spent:7.1f}  {told}", flush=True)
            time.sleep(max(0.0, begun + 60 * minutes * (number + 1) / rounds - time.monotonic()))
        print(", ".join(f"{count} {end}" for end, count in sorted(ends.items())), flush=True)
    expected = {"CANCELLED": 4 * rounds}
    flat = all(
        last <= early + allowed
        for name in seen[0]
        for place, allowed in enumerate((GROWTH, 0, 0))
        for last, early in [(seen[-1][name][place], max(now[name][place] for now in seen[:2]))]
    )
    return flat and set(ends) == {"DONE", "CANCELLED"} and ends["CANCELLED"] == expected["CANCELLED"]


if __name__ == "__main__":
    sys.exit(not main())
