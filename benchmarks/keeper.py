"""How many jobs a second the keeper of the `local` backend runs, next to bare loops of the same width.

Commands (`/bin/true`) are held against a loop of os.posix_spawn and os.wait, calls (`abs(1)`) against one of
os.fork and os.waitpid in a process that is as large as the zygote. The variants take turns within each round;
the median of the ratios of one round is printed. The driver starts the next job at each end that it hears of.

State is where temporary files are (TMPDIR). An ext4 on which many files were deleted within the last minute
or so makes new ones ten times slower than usual, and a job makes three to five: run it on a quiet disk.

Usage: python benchmarks/keeper.py [rounds]
"""

from __future__ import annotations

import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _side_by_side as bench

sys.path.insert(0, str(bench.ROOT / "tests"))
from keeper_driver import KeeperDriver, running_keeper

WIDTH = 2
COMMANDS, CALLS = 1000, 2000
TARGET = 0.6

SPAWN_LOOP = f"""
import os, time
start, left, running = time.perf_counter(), {COMMANDS}, 0
while left or running:
    while left and running < {WIDTH}:
        os.posix_spawn("/bin/true", ["/bin/true"], os.environ)
        left, running = left - 1, running + 1
    os.wait()
    running -= 1
print(time.perf_counter() - start)
"""
# It imports what a zygote has imported, so as to be of its size.
FORK_LOOP = f"""
import ctypes, gc, os, pickle, select, signal, sys, time, traceback
gc.freeze()
start, left, running = time.perf_counter(), {CALLS}, 0
while left or running:
    while left and running < {WIDTH}:
        if os.fork() == 0:
            os._exit(0)
        left, running = left - 1, running + 1
    os.waitpid(-1, 0)
    running -= 1
print(time.perf_counter() - start)
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")][0])
"""


def loop(program: str) -> tuple[float, int]:
    """Seconds that a bare loop takes, and its size in KiB where it says so."""
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    seconds, *size = said.stdout.split()
    return float(seconds), int(size[0]) if size else 0


def drive(driver: KeeperDriver, jobs: int, prefix: str, start: Callable[[str], Any]) -> float:
    """Seconds that so many jobs take through the keeper."""
    begun = time.perf_counter()
    sent = 0
    driver.ended.clear()
    driver.started.clear()
    while len(driver.ended) < jobs:
        while sent < jobs and sent - len(driver.ended) < WIDTH:
            start(f"{prefix}{sent}")
            sent += 1
        driver.frames.flush()
        hear(driver)
    assert all(event["code"] == 0 for event in driver.ended.values())
    return time.perf_counter() - begun


def hear(driver: KeeperDriver) -> None:
    for message in driver.frames.receive():
        if message["op"] == "ended":
            driver.ended[message["id"]] = message


def starter(driver: KeeperDriver, work: dict[str, Any], environment: str) -> Callable[[str], None]:
    spool = str(driver.state / "spool") + "/"

    def start(job: str) -> None:
        driver.frames.send(
            {
                "op": "start",
                "id": job,
                "attempt": 1,
                "spool": spool + job,
                "cwd": b"/tmp",
                "environment": environment,
                "extra": {},
                "walltime": None,
                "grace": 5.0,
                "work": work,
            }
        )

    return start


def size_of_zygote(driver: KeeperDriver) -> int:
    (pid,) = driver.zygotes()
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def main() -> bool:
    command = {"kind": "command", "argv": [b"/bin/true"], "stdin": None}
    call = {
        "kind": "call",
        "python": sys.executable,
        "path": sys.path,
        "preload": [],
        "shared": pickle.dumps(abs),
        "payload": pickle.dumps(((1,), {})),
        "payload_file": None,
    }
    names = ("posix_spawn loop", "keeper: commands", "fork loop", "keeper: calls")
    rates: dict[str, list[float]] = {name: [] for name in names}
    sizes = set()
    with tempfile.TemporaryDirectory() as directory, running_keeper(Path(directory)) as driver:
        variables = {name: value for name, value in os.environ.items() if name.isidentifier()}
        environment = driver.environment(**variables)
        commands = starter(driver, command, environment)
        calls = starter(driver, call, environment)
        drive(driver, 20, "w", calls)
        for number in range(bench.rounds(7)):
            spawned, (forked, size) = loop(SPAWN_LOOP)[0], loop(FORK_LOOP)
            sizes.add((size, size_of_zygote(driver)))
            rates[names[0]].append(COMMANDS / spawned)
            rates[names[1]].append(COMMANDS / drive(driver, COMMANDS, f"s{number}-", commands))
            rates[names[2]].append(CALLS / forked)
            rates[names[3]].append(CALLS / drive(driver, CALLS, f"c{number}-", calls))
    for name, values in rates.items():
        print(f"{name:18} {statistics.median(values):6.0f} jobs/s  ({min(values):.0f} to {max(values):.0f})")
    print(f"KiB resident, fork loop and zygote: {sorted(sizes)}")
    good = True
    for bare, ours in (names[:2], names[2:]):
        pairs = zip(rates[ours], rates[bare], strict=True)
        ratio = statistics.median(own / other for own, other in pairs)
        good &= ratio >= TARGET
        print(f"{ours} reaches {ratio:.2f} of the {bare} (at least {TARGET:g})")
    return good


if __name__ == "__main__":
    sys.exit(not main())
