"""Calls on Ray through anyjob, in both modes, next to Ray's own tasks: rate, and delay of the end.

All variants use one cluster, started here, and one connection to it. They take turns within each round; what
is compared is the median of the ratios of one round. Bare are ``ray.remote(…)`` tasks with ``max_retries=0``,
submitted one after the other and awaited by one ``ray.get``. The ledger is on where the mode is ``durable``.
Both modes are measured as they are by default, where short calls share tasks; and ``one by one``, with
``batch_duration = 0`` and ``direct = false``: a task for each call, whose end is heard from Ray.
The latency is from the moment at which a call of 20 ms returns, by the clock of its worker on the same
machine, to that at which the caller who waits for it goes on.

It runs in the environment of the plugin: scripts/plugin-venv plugins/anyjob-ray

Usage: .venv-plugins/anyjob-ray/bin/python benchmarks/ray_backend.py [rounds]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anyjob import Config, Session

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "plugins" / "anyjob-ray" / "tests"))

CPUS = 2
CALLS = {"trivial": 1000, "5 ms": 400}
WAITS = 20
TARGETS = {"trivial": 0.8, "5 ms": 0.95}
ONE_BY_ONE = " one by one"
SLOWER = 1.5
"""How much longer the end of a job may take to be known than that of a bare task."""

Variant = Callable[[str], None]


def trivial(number: int) -> int:
    return number


def short(number: int) -> int:
    time.sleep(0.005)
    return number


def ends(number: int) -> float:
    time.sleep(0.02)
    return time.time()


FUNCTIONS = {"trivial": trivial, "5 ms": short}


def bare(ray: Any) -> Variant:
    remote = {work: ray.remote(max_retries=0)(function) for work, function in FUNCTIONS.items()}

    def run(work: str) -> None:
        ray.get([remote[work].remote(number) for number in range(CALLS[work])])

    return run


def by_anyjob(session: Session, name: str) -> Variant:
    backend = session.get_backend(name)

    def run(work: str) -> None:
        jobs = backend.map(FUNCTIONS[work], range(CALLS[work]))
        left = session.wait(jobs, timeout=120).not_done
        assert not left, f"{len(left)} jobs have not ended"

    return run


def bare_latency(ray: Any) -> Callable[[], float]:
    remote = ray.remote(max_retries=0)(ends)

    def latency() -> float:
        ended: float = remote.remote(0).future().result()
        return time.time() - ended

    return latency


def latency_of(session: Session, name: str) -> Callable[[], float]:
    backend = session.get_backend(name)

    def latency() -> float:
        job = backend.map(ends, [0])[0]
        job.outcome(60)
        known = time.time()
        return known - float(job.result())

    return latency


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def spread(values: list[float], digits: int = 0) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:8.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def compare_rates(variants: dict[str, Variant], work: str, rounds: int) -> bool:
    times: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(-1, rounds):  # one round to start the workers
        for name, run in variants.items():
            took = seconds(lambda run=run: run(work))  # type: ignore[misc]
            if number >= 0:
                times[name].append(took)
    good = True
    print(f"{CALLS[work]} calls, {work}: calls/s, median (quartiles); ratio to bare of the same round")
    for name, values in times.items():
        ratios = [ours / value for ours, value in zip(times["bare"], values, strict=True)]
        enough = name.endswith(ONE_BY_ONE) or statistics.median(ratios) >= TARGETS[work]
        good &= enough
        mark = "" if enough else f"   <- less than {TARGETS[work]:g}"
        rates = spread([CALLS[work] / value for value in values])
        print(f"  {name:18} {rates:26} {spread(ratios, 2)}{mark}")
    return good


def compare_latencies(variants: dict[str, Callable[[], float]], rounds: int) -> bool:
    found: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(-1, rounds):
        for name, latency in variants.items():
            took = statistics.median(latency() for _ in range(WAITS))
            if number >= 0:
                found[name].append(took * 1000)
    good = True
    print(
        f"from the end of a call until its caller goes on: ms, median of {WAITS} (quartiles over the rounds)"
    )
    for name, values in found.items():
        ratios = [value / other for value, other in zip(values, found["bare"], strict=True)]
        enough = name.endswith(ONE_BY_ONE) or statistics.median(ratios) <= SLOWER
        good &= enough
        mark = "" if enough else f"   <- more than {SLOWER:g}"
        print(f"  {name:18} {spread(values, 2):26} {spread(ratios, 2)}{mark}")
    return good


def measure(address: str, state: str, rounds: int) -> bool:
    import ray

    ray.init(address, log_to_driver=False, configure_logging=False, logging_level="ERROR")
    tables: dict[str, dict[str, Any]] = {}
    for mode in ("fast", "durable"):
        tables[mode] = {"type": "ray", "address": address, "mode": mode}
        tables[mode + ONE_BY_ONE] = {**tables[mode], "batch_duration": 0, "direct": False}
    names = {label: label.replace(" ", "-") for label in tables}
    backends = {names[label]: table for label, table in tables.items()}
    with Session(Config.from_dict({"backends": backends}, origin="this benchmark"), state=state) as session:
        by_name = {
            "bare": bare(ray),
            **{label: by_anyjob(session, name) for label, name in names.items()},
        }
        good = [compare_rates(by_name, work, rounds) for work in CALLS]
        latencies = {
            "bare": bare_latency(ray),
            **{label: latency_of(session, name) for label, name in names.items()},
        }
        good.append(compare_latencies(latencies, rounds))
    ray.shutdown()
    return all(good)


def main() -> int:
    import os

    import ray_lab

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    os.environ.update(ray_lab.environment())
    cluster = ray_lab.Cluster(CPUS)
    try:
        with tempfile.TemporaryDirectory() as state:
            return 0 if measure(cluster.address, state, rounds) else 1
    finally:
        cluster.stop()


if __name__ == "__main__":
    sys.exit(main())
