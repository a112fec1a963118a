"""How fast the `local` backend is, next to durable task queues, to a bare loop, and to a pool of processes.

Two jobs at a time, all variants in turns, each in a process of its own; what is compared is the median of the
ratios within a round. The settings of the peers: huey 3.5.4 with SqliteHuey (its journal is a WAL), and its
consumer with `-w 2 -k process -d 0.01`; taskito 0.22 with a `prefork` pool of two, asked every 10 ms in
batches of 64, submitted to by `enqueue_many`. What they need to start is not counted. They are installed in
an environment of their own, with numpy. fsync is off with huey where `local` has `durability = "normal"`, and
on where that is "full"; taskito has no such setting.

What all processes together used of the processors for a job is told where this process may make a control
group: that does not depend on what else the machine does.

Usage: python benchmarks/local_peers.py [rounds [plot.svg]]
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import _local

PEERS = ("huey==3.5.4", "taskito==0.22.*", "numpy")
CALLS, ARRAYS, COMMANDS, QUEUED, ENDS = 3000, 1000, 500, 100_000, 200
PROGRAM = ["/bin/true"]
IDLE = 10.0
LIMIT = 60.0


processors = _local.ProcessorTime() if _local.variant() else None
spent = float("nan")
"""Microseconds of a processor that a job has used."""


def rate(count: int, work: Callable[[], object]) -> float:
    global spent
    assert processors is not None
    used, begun = processors.microseconds(), time.perf_counter()
    work()
    took = time.perf_counter() - begun
    spent = (processors.microseconds() - used) / count
    return count / took


# --- trivial calls ------------------------------------------------------------------------------


def calls(**options: Any) -> float:
    import anyjob

    with _local.backend(tempfile.mkdtemp(), **options) as backend:
        anyjob.wait(backend.map(abs, range(100)))
        return rate(CALLS, lambda: anyjob.wait(backend.map(abs, range(CALLS))))


HUEY = """
from huey import SqliteHuey
huey = SqliteHuey(filename={path!r}, fsync={fsync})
@huey.task()
def call(number):
    return abs(number)
"""
TASKITO = """
from taskito import Queue
queue = Queue({path!r}, workers=2, scheduler_poll_interval_ms=10, scheduler_batch_size=64)
@queue.task()
def call(number):
    return abs(number)
"""


@contextlib.contextmanager
def worker(program: str, *command: str, **values: Any) -> Iterator[Any]:
    """The module that a peer's tasks are in, with its worker beside."""
    directory = Path(tempfile.mkdtemp())
    path = str(directory / "queue.db")
    (directory / "peer_tasks.py").write_text(program.format(path=path, **values))
    sys.path.insert(0, str(directory))
    import peer_tasks  # type: ignore[import-not-found,unused-ignore]

    bin = Path(sys.executable).parent
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(
            [bin / command[0], *command[1:]],
            env={**os.environ, "TASKITO_PYTHON": sys.executable},
            cwd=directory,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield peer_tasks
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"it has not come to its end within {LIMIT:g} s")
        time.sleep(0.005)


def huey(fsync: bool = False) -> float:
    consumer = ("huey_consumer", "peer_tasks.huey", "-w", "2", "-k", "process", "-d", "0.01", "-q")
    with worker(HUEY, *consumer, fsync=fsync) as tasks:

        def work(count: int) -> None:
            before = tasks.huey.storage.result_store_size()
            for number in range(count):
                tasks.call(number + 1)
            until(lambda: tasks.huey.storage.result_store_size() - before >= count)

        work(100)
        return rate(CALLS, lambda: work(CALLS))


def taskito() -> float:
    with worker(TASKITO, "taskito", "worker", "--app", "peer_tasks:queue", "--pool", "prefork") as tasks:

        def work(count: int) -> None:
            before = tasks.queue.stats()["completed"]
            tasks.queue.enqueue_many(tasks.call.name, [(number,) for number in range(count)])
            until(lambda: tasks.queue.stats()["completed"] - before >= count)

        work(100)
        return rate(CALLS, lambda: work(CALLS))


# --- calls with numpy, and commands -------------------------------------------------------------


def arrays(backend: Any) -> float:
    import numpy

    import anyjob

    given = [numpy.arange(1000.0) + number for number in range(ARRAYS)]
    anyjob.wait(backend.map(numpy.linalg.norm, given[:50]))
    return rate(ARRAYS, lambda: [job.result() for job in backend.map(numpy.linalg.norm, given)])


def arrays_local(**options: Any) -> float:
    with _local.backend(tempfile.mkdtemp(), **options) as backend:
        return arrays(backend)


def arrays_processes() -> float:
    import anyjob

    with anyjob.Session(
        anyjob.Config.from_dict({"backends": {"own": {"type": "processes", "slots": 2}}})
    ) as own:
        return arrays(own.get_backend("own"))


def commands_local() -> float:
    import anyjob
    from anyjob import Command

    with _local.backend(tempfile.mkdtemp()) as backend:
        anyjob.wait(backend.run_many([Command(PROGRAM)] * 20))
        return rate(COMMANDS, lambda: anyjob.wait(backend.run_many([Command(PROGRAM)] * COMMANDS)))


def commands_loop() -> float:
    return rate(COMMANDS, lambda: _local.spawn_each(PROGRAM, COMMANDS))


# --- what is no rate ----------------------------------------------------------------------------


def latency(**options: Any) -> float:
    """From the end of a call to who waits for it: the median, in milliseconds."""
    from anyjob import Call

    took = []
    with _local.backend(tempfile.mkdtemp(), **options) as backend:
        for _ in range(ENDS):
            job = backend.run(Call(time.time))
            job.wait_for_final_state(timeout=60, wait=60)
            now = time.time()
            took.append((now - job.result()) * 1000)
    return statistics.median(took[5:])


def queueing() -> float:
    """Seconds that it takes to queue 100,000 calls, behind one that takes all slots."""
    import anyjob
    from anyjob import Call

    with _local.backend(tempfile.mkdtemp()) as backend:
        first = backend.run(Call(time.sleep, (600,)), cpus=_local.WIDTH)
        begun = time.perf_counter()
        jobs = backend.map(abs, range(QUEUED))
        took = time.perf_counter() - begun
        backend.cancel_many([*jobs, first])
        anyjob.wait([first])
    return took


def idle() -> tuple[float, float]:
    """Return the MiB that supervisor and keeper have for themselves, and how often both wake within 10 s."""
    import anyjob
    from anyjob.builtin.local.locks import lock_holder

    with _local.backend(tempfile.mkdtemp(), isolation="reuse") as backend:
        anyjob.wait(backend.map(abs, range(200)))
        pids = [_local.supervisor_of(backend), lock_holder(backend._paths.keeper_lock)]
        time.sleep(1)
        before = sum(map(switches, pids))
        time.sleep(IDLE)
        return sum(map(own_memory, pids)), sum(map(switches, pids)) - before


def switches(pid: int | None) -> int:
    return sum(
        int(line.split()[1])
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


def own_memory(pid: int | None) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


VARIANTS: dict[str, Callable[[], float]] = {
    "calls, fork": calls,
    "calls, reuse": lambda: calls(isolation="reuse"),
    "calls, huey": huey,
    "calls, taskito": taskito,
    "calls, reuse, full": lambda: calls(isolation="reuse", durability="full"),
    "calls, huey, fsync": lambda: huey(fsync=True),
    "numpy, fork": arrays_local,
    "numpy, reuse": lambda: arrays_local(isolation="reuse"),
    "numpy, processes": arrays_processes,
    "commands": commands_local,
    "commands, posix_spawn loop": commands_loop,
    "ms from end to waiter, fork": latency,
    "ms from end to waiter, reuse": lambda: latency(isolation="reuse"),
    "s to queue 100,000": queueing,
    "idle: MiB": lambda: idle()[0],
    "idle: wake-ups in 10 s": lambda: idle()[1],
}
RATIOS = (
    ("calls, reuse", "calls, fork", 3.0),
    ("calls, reuse", "calls, huey", 1.0),
    ("calls, reuse", "calls, taskito", 1.0),
    ("calls, reuse, full", "calls, huey, fsync", 1.0),
    ("numpy, reuse", "numpy, processes", 1 / 1.3),
    ("commands", "commands, posix_spawn loop", 0.7),
)
MOST = {"ms from end to waiter, reuse": 1.0, "idle: MiB": 40.0, "idle: wake-ups in 10 s": 0.0}


RATES = [name for name in VARIANTS if name.startswith(("calls", "numpy", "commands"))]
OTHERS = ("huey", "huey, fsync", "taskito", "loop", "processes")
WIDTH, BAR, LEFT = 640, 26, 190


def plot(rates: dict[str, float]) -> str:
    """Return bars as SVG: how many jobs a second; those of others are grey."""
    height, most = BAR * len(rates) + 30, max(rates.values())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="12">',
        "<title>Jobs a second</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="18">jobs a second</text>',
    ]
    for number, (name, value) in enumerate(rates.items()):
        y, width = 28 + BAR * number, value / most * (WIDTH - LEFT - 60)
        colour = "#9ca3af" if name.endswith(OTHERS) else "#2563eb"
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{name}</text>'
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="18" fill="{colour}"/>'
            f'<text x="{LEFT + width + 6:.1f}" y="{y + 14}">{value:,.0f}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def main() -> bool:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    used: dict[str, list[float]] = {}
    found = _local.take_turns(__file__, [*VARIANTS], rounds, PEERS, used)
    good = True
    for name, values in found.items():
        middle = statistics.median(values)
        missed = "" if middle <= MOST.get(name, middle) else f"   <- above {MOST[name]:g}"
        good &= not missed
        unit = "" if name[0].isupper() or name.startswith(("ms ", "s ", "idle")) else " a second"
        processor = statistics.median(used[name])
        beside = "" if math.isnan(processor) else f", {processor:.0f} us of a processor"
        print(f"{name:32} {middle:9.2f}{unit}   ({min(values):.2f} to {max(values):.2f}){beside}{missed}")
    for one, other, target in RATIOS:
        if one in found and other in found:
            ratio = statistics.median(a / b for a, b in zip(found[one], found[other], strict=True))
            good &= ratio >= target
            missed = "" if ratio >= target else f"   <- below {target:.2f}"
            print(f"{one} reaches {ratio:.2f} of {other}{missed}")
    print(f"load after: {os.getloadavg()[0]:.1f}")
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_text(
            plot({name: statistics.median(found[name]) for name in RATES if name in found})
        )
    return good


if __name__ == "__main__":
    if chosen := _local.variant():
        value = VARIANTS[chosen]()
        print(spent, value)
    else:
        sys.exit(not main())
