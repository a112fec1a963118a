"""What dependencies cost on `local`, next to the same jobs without them.

- a fan-in: one job that starts after all the others;
- chains of 10, each of whose links starts after the one before, next to ten bulks of as many;
- a chain's next link: from the moment that a call returns to that in which the next one is made;
- the memory of the supervisor for each edge that is waited for: one job that starts after so many that wait
  themselves, next to the same jobs without it; and the links of chains.

Calls in processes that are used again, two at a time. Variants take turns within a round. Of rates, and of
the processor time of a job, which does not depend on what else the machine does, the ratio is told: of the
same jobs without dependencies to these.

Usage: python benchmarks/graphs.py [rounds] [jobs of the fan-in] [chains]
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import time
from typing import Any

import _local

LENGTH, LINKS = 10, 200


def fan_in(backend: Any, count: int, linked: bool) -> float:
    start = time.perf_counter()
    jobs = backend.map(abs, range(count))
    last = backend.run(abs, -1, **({"after": jobs} if linked else {}))
    for job in [*jobs, last]:
        job.result()
    return (count + 1) / (time.perf_counter() - start)


def chains(backend: Any, count: int, linked: bool) -> float:
    start = time.perf_counter()
    jobs: list[Any] = []
    for _ in range(LENGTH):
        before = jobs[-count:]
        after = {"after": lambda index, before=before: before[index]} if linked and before else {}
        jobs += backend.map(abs, range(count), **after)
    for job in jobs:
        job.result()
    return len(jobs) / (time.perf_counter() - start)


def links(backend: Any) -> list[float]:
    """Milliseconds between the end of a call and the beginning of the one that starts after it."""
    gate = backend.run(time.sleep, 1)
    jobs = [backend.run(time.time, after=gate)]
    for _ in range(LINKS):
        jobs.append(backend.run(time.time, after=jobs[-1]))
    times = [job.result(120) for job in jobs]
    return [(after - before) * 1000 for before, after in itertools.pairwise(times)]


def memory(backend: Any, count: int, what: str) -> tuple[float, int]:
    """MiB of the supervisor when all of that waits, and how many edges there are."""
    gate = backend.run(time.sleep, 1000)
    while not gate.running():
        time.sleep(0.01)
    held = {"cpus": _local.WIDTH}
    if what == "chains":
        jobs = backend.map(abs, range(count // LENGTH), **held)
        for _ in range(LENGTH - 1):
            before = list(jobs)
            jobs = backend.map(abs, range(len(before)), after=lambda i, b=before: b[i], **held)
        edges = count // LENGTH * (LENGTH - 1)
    else:
        jobs = backend.map(abs, range(count), **held)
        if what == "fan-in":
            backend.run(abs, -1, after=jobs, **held)
        edges = count
    time.sleep(2)
    found = _local.resident(_local.supervisor_of(backend))
    gate.cancel()
    return found, edges


def main() -> bool:
    given = [int(each) for each in sys.argv[1:]]
    rounds, wide, many = (given + [3, 100_000, 10_000][len(given) :])[:3]
    ratios: dict[str, list[float]] = {"fan-in": [], "chains": []}
    costs: dict[str, list[float]] = {"fan-in": [], "chains": []}
    processors = _local.ProcessorTime()
    for _ in range(rounds):
        for name, run, count in (("fan-in", fan_in, wide), ("chains", chains, many)):
            rates, used = [], []
            for linked in (True, False):
                with _local.backend(tempfile.mkdtemp(), isolation="reuse") as backend:
                    backend.run(abs, -1).result()
                    before = processors.microseconds()
                    rates.append(run(backend, count, linked))
                    jobs = count if run is fan_in else count * LENGTH
                    used.append((processors.microseconds() - before) / jobs)
            ratios[name].append(rates[0] / rates[1])
            costs[name].append(used[1] / used[0])
            print(
                f"{name:8} {rates[0]:7.0f} jobs/s, without {rates[1]:7.0f}, {ratios[name][-1]:.2f}; "
                f"{used[0]:.0f} us of a processor a job, without {used[1]:.0f}, {costs[name][-1]:.2f}; "
                f"load {os.getloadavg()[0]:.0f}",
                flush=True,
            )
    good = True
    for name, found in ratios.items():
        rate, cost = statistics.median(found), statistics.median(costs[name])
        good &= cost >= 0.8
        print(f"{name:8} {rate:.2f} of the same jobs without, by processor time {cost:.2f} (at least 0.8)")
    with _local.backend(tempfile.mkdtemp(), isolation="reuse") as backend:
        low, middle, high = statistics.quantiles(links(backend), n=4)
    good &= middle <= 2
    print(f"the next link of a chain: median {middle:.2f} ms, quartiles {low:.2f} to {high:.2f} (at most 2)")
    used = {}
    for what in ("nothing", "fan-in", "chains"):
        with _local.backend(tempfile.mkdtemp()) as backend:
            used[what] = memory(backend, wide, what)
    for what in ("fan-in", "chains"):
        edge = (used[what][0] - used["nothing"][0]) * 2**20 / used[what][1]
        good &= edge <= 150
        print(f"{what:8} {edge:.0f} bytes of the supervisor for an edge of {used[what][1]} (at most 150)")
    return good


if __name__ == "__main__":
    sys.exit(not main())
