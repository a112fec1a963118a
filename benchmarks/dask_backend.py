"""What anyjob adds to a Dask cluster: calls a second and the latency of an end, next to the bare client.

All is measured on one cluster of this machine: a scheduler, and two workers of one thread each. Modes: calls
in threads of the workers or in processes beside them, and jobs that are durable (with a ledger, and kept by
the scheduler) or not. The variants take turns within each round, and are compared with the bare client's
`map` (or `submit`) of the same round; the median of these ratios is printed, with its quartiles. It needs
`anyjob-dask` installed.

Usage: python benchmarks/dask_backend.py [rounds]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import _side_by_side as bench
from anyjob_dask.client.cluster import Cluster
from distributed import Client

from anyjob import Call, Config, Session

SLOTS = 2
TRIVIAL = 2000
SHORT = 400
ENDS = 40
RATE, RATE_SHORT, LATENCY = 0.8, 0.95, 1.5
MODES = {
    "threads": {"isolation": "thread", "durable": False},
    "threads, durable": {"isolation": "thread", "durable": True},
    "processes": {"isolation": "process", "durable": False},
    "processes, durable": {"isolation": "process", "durable": True},
}
BARE = "bare client"


def five_milliseconds(number: int) -> int:
    """A task that takes 5 ms, and no processor."""
    time.sleep(0.005)
    return number


def end_of_work() -> float:
    """A task that says when it ended."""
    time.sleep(0.02)
    return time.time()


def bare_map(client: Client, fn: Callable[[int], int], calls: int) -> float:
    start = time.perf_counter()
    client.gather(client.map(fn, range(calls), pure=False))
    return time.perf_counter() - start


def our_map(backend: Any, fn: Callable[[int], int], calls: int) -> float:
    start = time.perf_counter()
    for job in backend.map(fn, range(calls)):
        job.result()
    return time.perf_counter() - start


def bare_latency(client: Client) -> float:
    ends = []
    for _ in range(ENDS):
        said = client.submit(end_of_work, pure=False).result()
        ends.append(time.time() - said)
    return statistics.median(ends)


def our_latency(backend: Any) -> float:
    ends = []
    for _ in range(ENDS):
        said = backend.run(Call(end_of_work)).result()
        ends.append(time.time() - said)
    return statistics.median(ends)


def measure(variants: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds by variant, round by round, after one round that warms up; who begins changes each round."""
    times: dict[str, list[float]] = {label: [] for label in variants}
    for number in range(-1, rounds):
        labels = list(variants)
        turn = max(number, 0) % len(labels)
        for label in labels[turn:] + labels[:turn]:
            took = variants[label]()
            if number >= 0:
                times[label].append(took)
    return times


def report(title: str, times: dict[str, list[float]], unit: Callable[[float], str], limit: float) -> bool:
    """Print what was measured, and the ratios; a rate is to be at least, a latency at most the limit."""
    is_rate = limit < 1
    print(f"{title} (to be {'at least' if is_rate else 'at most'} {limit:g})")
    good = True
    for label, values in times.items():
        both = list(zip(times[BARE], values, strict=True))
        ratios = [bare / own if is_rate else own / bare for bare, own in both]
        low, middle, high = statistics.quantiles(ratios, n=4)
        enough = label == BARE or (middle >= limit if is_rate else middle <= limit)
        good &= enough
        mark = "" if enough else "   <- missed"
        shown = f"{unit(statistics.median(values)):>18}   {middle:5.2f} ({low:.2f} to {high:.2f})"
        print(f"  {label:20} {shown}{mark}")
    print()
    return good


def main() -> int:
    rounds = bench.rounds(9)
    cluster = Cluster(SLOTS, None, one_worker=False)
    given = {
        label: {"type": "dask", "address": cluster.address, **options} for label, options in MODES.items()
    }
    names = {label: f"mode-{number}" for number, label in enumerate(MODES)}
    config = Config.from_dict({"backends": {names[label]: options for label, options in given.items()}})
    try:
        with (
            tempfile.TemporaryDirectory() as state,
            Session(config, state=state) as session,
            Client(cluster.address, set_as_default=False) as client,
        ):
            modes = {label: session.get_backend(name) for label, name in names.items()}
            good = compare(client, modes, rounds)
    finally:
        cluster.close()
    return 0 if good else 1


def compare(client: Client, modes: dict[str, Any], rounds: int) -> bool:
    """Measure and print it all; return whether the targets are met."""

    def rates(fn: Callable[[int], int], calls: int) -> dict[str, list[float]]:
        variants: dict[str, Callable[[], float]] = {BARE: lambda: bare_map(client, fn, calls)}
        for label, backend in modes.items():
            variants[label] = lambda backend=backend: our_map(backend, fn, calls)  # type: ignore[misc]
        return measure(variants, rounds)

    latencies: dict[str, Callable[[], float]] = {BARE: lambda: bare_latency(client)}
    for label, backend in modes.items():
        latencies[label] = lambda backend=backend: our_latency(backend)  # type: ignore[misc]
    good = report(
        f"{TRIVIAL} calls of abs()", rates(abs, TRIVIAL), lambda s: f"{TRIVIAL / s:.0f} calls/s", RATE
    )
    good &= report(
        f"{SHORT} calls of 5 ms",
        rates(five_milliseconds, SHORT),
        lambda s: f"{SHORT / s:.0f} calls/s",
        RATE_SHORT,
    )
    good &= report(
        "from the end of a call to its waiting caller",
        measure(latencies, rounds),
        lambda s: f"{s * 1000:.1f} ms",
        LATENCY,
    )
    return good


if __name__ == "__main__":
    sys.exit(main())
