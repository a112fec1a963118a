"""A client that nobody kills, for `kill_harness`: it has so many jobs run in so many minutes.

What it and the daemons have of memory, descriptors and threads is looked at each second. A process has more
of these for a moment, as while it answers somebody; what leaks does not go away again. So what counts is the
least of each in each tenth of the jobs. A daemon that was killed begins anew.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import anyjob
from anyjob import Call, Command
from anyjob.errors import BackendUnavailableError, StateError

ROUND = 200
"""Jobs of a round, at most."""
PARTS = 10
GROWTH = 8.0
"""MiB that a process may grow by: allocators' slack, and SQLite's cache, which fills as the ledger grows."""
MORE = 4
"""Descriptors and threads that it may have more: what leaks at one kill in ten is more, after hundreds."""


def steady(state: str, minutes: float, jobs: int) -> None:
    """Have so many jobs run in so many minutes, spread over these, by each way that there is."""
    import kill_harness

    root = Path(state).parent
    os.environ["MARKS"] = marks = str(root / "marks")
    backends = {name: kill_harness.session(Path(state)).get_backend(name) for name in ("local", "reuse")}
    begun, submitted = time.monotonic(), 0
    while submitted < jobs:
        mine: list[Any] = []
        try:
            for backend, count, work, more in _round(kill_harness, marks, state, submitted // ROUND):
                together = backends[backend].run_many([work] * count, **more)
                mine += together
                with open(root / "submitted", "a", encoding="ascii") as stream:
                    stream.write("".join(f"{job.job_id()}\n" for job in together))
            anyjob.hold(mine[:3])
            anyjob.set_priority(mine[-3:], submitted // ROUND % 7)
            anyjob.release(mine[:3])
            backends["local"].cancel_many(mine[3:7])
            anyjob.wait(mine, timeout=60)
        except (BackendUnavailableError, StateError) as error:
            print(f"steady client: {error}", file=sys.stderr, flush=True)
        submitted += len(mine)
        (root / "steady").write_text(str(submitted))
        time.sleep(max(0.0, begun + 60 * minutes * submitted / jobs - time.monotonic()))


def _round(harness: Any, marks: str, state: str, number: int) -> list[tuple[str, int, Any, dict[str, Any]]]:
    """Return what a round is of: a backend, how many of the same, what of, and what is asked for them."""
    call = Call(harness.call, (marks, 0.0))
    script = f"{harness.MARK}; {harness.MARK.replace('$0', 'end')}"
    program = Command(["sh", "-c", script, "start"])
    work: list[tuple[str, int, Any, dict[str, Any]]] = [
        ("local", 7, program, {}),
        ("reuse", 110, call, {}),
        ("local", 38, call, {}),
        ("local", 33, program, {"priority": number % 3}),
        ("local", 4, call, {"gpus": 1}),
        ("local", 2, program, {"gpus": 0.5}),
        ("local", 2, Call(harness.nesting, (marks, state, 0.0)), {}),
        ("reuse", 2, call, {"retries": 1}),
        ("local", 1, call, {"memory": harness.MEMORY, "restartable": True}),
    ]
    if number % 10 == 0:
        work.append(
            ("local", 1, Call(harness.greedy, (marks,)), {"memory": harness.MEMORY, "name": harness.GREEDY})
        )
    return work


class Figures(NamedTuple):
    """What a process has: resident memory in MiB, descriptors, threads."""

    memory: float
    files: int
    threads: int


def figures(pid: int) -> Figures | None:
    """Return what a process has; None where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        files = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None
    said = dict(line.split(":", 1) for line in status.splitlines())
    if "VmRSS" not in said:
        return None
    return Figures(int(said["VmRSS"].split()[0]) / 1024, files, int(said["Threads"]))


def _least(one: Figures, other: Figures) -> Figures:
    return Figures(*(min(pair) for pair in zip(one, other, strict=True)))  # type: ignore[arg-type]


class Sampler:
    """Looks each second at what processes have, while it is entered.

    Args:
        pids: gives the pids of those that are looked at, by what they are.
        jobs: how many there will be: a tenth of them is a line of the table.
        done: tells how many have been submitted.
    """

    def __init__(self, pids: Callable[[], dict[str, int | None]], jobs: int, done: Callable[[], int]) -> None:
        self._pids = pids
        self._jobs = jobs
        self._done = done
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.lines: list[tuple[int, dict[str, Figures]]] = []

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        begun = time.monotonic()
        least: dict[str, Figures] = {}
        while not self._over.wait(1.0):
            for name, pid in self._pids().items():
                found = figures(pid) if pid is not None else None
                if found is not None and time.monotonic() - begun > 10:  # before that, it is only beginning
                    least[name] = _least(least.get(name, found), found)
            done = self._done()
            if done * PARTS >= self._jobs * (len(self.lines) + 1):
                self.lines.append((done, least))
                print(self.lines[-1], file=sys.stderr, flush=True)
                least = {}

    def table(self) -> str:
        """Return a line for each tenth of the time, as docs have it."""
        names = ("client", "supervisor", "keeper")
        lines = [f"| jobs | {' | '.join(names)} |", "| --- " * (len(names) + 1) + "|"]
        for done, least in self.lines:
            cells = [
                f"{one.memory:.1f} MiB, {one.files}, {one.threads}" if (one := least.get(name)) else "–"
                for name in names
            ]
            lines.append(f"| {done} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def grown(self) -> list[str]:
        """Return what has grown since the first two tenths."""
        return grown([least for _, least in self.lines])


def grown(parts: list[dict[str, Figures]]) -> list[str]:
    """Return which process has more of what in the last two parts than in the first two, and how much.

    In a part that was short nobody may have been killed: a daemon that is not young has more.
    """
    found: list[str] = []
    if len(parts) < 4:
        return found
    for name in parts[-1]:
        early = [part[name] for part in parts[:2] if name in part]
        late = [part[name] for part in parts[-2:] if name in part]
        for place, allowed in enumerate((GROWTH, MORE, MORE)):
            last = min(each[place] for each in late)
            most = max((each[place] for each in early), default=last)
            if last > most + allowed:
                found.append(f"{name} has {last:g} {Figures._fields[place]}, and had {most:g}")
    return found
