"""Where the time of a small circuit on `aer` goes, by the clock of each thread; and what a fork takes.

Usage: .venv-plugins/anyjob-qiskit/bin/python benchmarks/qiskit_breakdown.py [rounds]

The circuits are those of `qiskit_backend.py`. Steps are medians, in microseconds; those of the sweep's are
milliseconds of processors for each circuit, of this process and of those that it forks.
"""

from __future__ import annotations

import functools
import resource
import statistics
import sys
import time
from collections import defaultdict
from typing import Any

import numpy as np
from anyjob_qiskit import Circuit, simulation, simulation_queue
from anyjob_qiskit.aer import AerBackend
from qiskit_backend import SHOTS, bare_sweep, forking_sweep, small

from anyjob import Config, Session

STEPS = [
    (AerBackend, "_prepare", "run: its validation"),
    (simulation_queue.SimulationQueue, "_notify", "its beginning, or its end, told (twice)"),
    (simulation_queue.QueuedSimulation, "run", "in Aer's thread: all"),
    (simulation.Simulator, "run", "in Aer's thread: without the outcome"),
    (simulation, "run_here", "in Aer's thread: Aer"),
    (simulation, "experiment_data", "in Aer's thread: reading the counts"),
]
TIMES: dict[str, list[float]] = defaultdict(list)


def timed(function: Any, label: str) -> Any:
    """Return a function that does the same, and notes how long its thread has a processor."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        start = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            TIMES[label].append(time.thread_time() - start)

    return wrapped


def on_processors() -> float:
    """Return the seconds on processors of this process and of its children that have ended."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


def main(rounds: int) -> None:
    for owner, name, label in STEPS:
        setattr(owner, name, timed(getattr(owner, name), label))
    circuits = [small(seed) for seed in range(60)]
    with Session(Config.from_dict({"backends": {"aer": {"type": "aer", "threads": 1}}})) as session:
        backend = session.get_backend("aer")
        make, run = timed(Circuit, "Circuit(circuit)"), timed(backend.run, "run")
        for _ in range(rounds):
            for circuit in circuits:
                timed(run(make(circuit, shots=SHOTS)).result, "result")()
    for label, times in TIMES.items():
        print(f"{label:42} {1e6 * statistics.median(times):6.0f}")
    angles = [float(angle) for angle in np.linspace(0, 3, 20)]
    for label, sweep in (("bare Aer", bare_sweep), ("a fork for each circuit", forking_sweep)):
        took = []
        for _ in range(max(2, rounds // 4)):
            start = on_processors()
            sweep(angles)
            took.append((on_processors() - start) / len(angles))
        print(f"{label:42} {1e3 * statistics.median(took):6.1f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
