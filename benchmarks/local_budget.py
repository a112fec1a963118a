"""Where the time of many short jobs on `local` goes: what each process takes of a processor, how it waits.

3,000 calls of `abs` with `isolation = "reuse"`, 1,000 with `fork`, and 1,000 `/bin/true`, two at a time.
The children that make forked calls, and the programs, are not counted: they are gone.

Usage: python benchmarks/local_budget.py
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _local

COUNTED = ("microseconds", "waits", "reads", "writes", "bytes")


def usage(pid: int) -> list[float]:
    """Return microseconds of a processor, waits, reads, writes and bytes written of a process so far."""
    microseconds = waits = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        microseconds += int((task / "schedstat").read_text().split()[0]) / 1000
        status = dict(
            line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line
        )
        waits += int(status["voluntary_ctxt_switches"])
    io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return [microseconds, waits, int(io["syscr"]), int(io["syscw"]), int(io["wchar"])]


def children(pid: int) -> list[int]:
    """Return the pids of the children of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def budget(count: int, submit: Callable[[Any, int], list[Any]], **options: Any) -> None:
    import anyjob
    from anyjob.builtin.local.locks import lock_holder

    with _local.backend(tempfile.mkdtemp(), recycle=1_000_000, **options) as backend:
        anyjob.wait(submit(backend, 100))
        keeper = lock_holder(backend._paths.keeper_lock)
        assert keeper is not None
        zygotes = children(keeper)
        programs = {
            "client": [os.getpid()],
            "supervisor": [_local.supervisor_of(backend)],
            "keeper": [keeper],
            "zygote": zygotes,
            "workers": [worker for zygote in zygotes for worker in children(zygote)],
        }
        before = {name: [usage(pid) for pid in pids] for name, pids in programs.items()}
        anyjob.wait(submit(backend, count))
        print(f"{'':12}" + "".join(f"{what:>14}" for what in COUNTED) + "   for a job")
        total = 0.0
        for name, pids in programs.items():
            used = [
                sum(
                    after[i] - earlier[i]
                    for after, earlier in zip(map(usage, pids), before[name], strict=True)
                )
                / count
                for i in range(len(COUNTED))
            ]
            total += used[0]
            print(f"{name:12}" + "".join(f"{value:14.2f}" for value in used))
        print(f"{'together':12}{total:14.2f}\n")


def main() -> None:
    from anyjob import Command

    print(f"load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    for isolation, count in (("reuse", 3000), ("fork", 1000)):
        print(f'calls, isolation = "{isolation}"')
        budget(count, lambda backend, some: list(backend.map(abs, range(some))), isolation=isolation)
    print("commands")
    budget(1000, lambda backend, some: list(backend.run_many([Command(["/bin/true"])] * some)))


if __name__ == "__main__":
    main()
