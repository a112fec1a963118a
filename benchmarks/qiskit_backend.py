"""How fast `aer` runs small circuits, and `local` a sweep of them, next to bare Aer in one process.

Usage: .venv-plugins/anyjob-qiskit/bin/python benchmarks/qiskit_backend.py [rounds] [--sweep N]

Both sides use one thread, and 4,096 shots. The small circuits (200, of 5 qubits) go one after the other, each
waited for, and all together. The sweep binds one circuit N times (1,000 by default), each of 50 ms or more
of simulation; bare Aer runs it in one process, `local` in two slots whose zygote has loaded Aer beforehand,
with a process for each circuit (`isolation = "fork"`) and with such as are reused (`"reuse"`). The sides take
turns: every 20 circuits where these go one after the other, every 100 of the sweep, else every round; the
median of the turns' ratios is printed, with its quartiles; of the small circuits also what they take of a
processor, which tells more where others use the machine. What two processes of bare Aer reach, each with
half of a turn, says how much two slots could give on the machine as it is; what two such reach that fork for
each circuit, and do nothing else, how much a process for each circuit could give.
"""

from __future__ import annotations

import argparse
import functools
import gc
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from _local import backend as local_backend
from anyjob_qiskit import Circuit, sweep
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_aer import AerSimulator

from anyjob import Config, Session

BARE = "bare Aer"
SMALL = 200
TURN = 20
"""Small circuits that run before it is the other side's turn: the machine may get slower meanwhile."""
SWEPT = 100
"""The same of the sweep."""
SHOTS = 4096
FORKED, REUSED, PAIR, FORKS = "sweep, forked", "sweep, reused", "two processes", "two, that fork"
TARGETS = {"one after the other": 0.95, "all together": 0.95, FORKED: 1.8, REUSED: 1.8, PAIR: 0.0, FORKS: 0.0}


def small(seed: int) -> QuantumCircuit:
    """A circuit of 5 qubits, of gates that Aer has."""
    chosen = np.random.default_rng(seed)
    circuit = QuantumCircuit(5, 5)
    for _ in range(8):
        for qubit in range(5):
            circuit.ry(float(chosen.uniform(0, 3)), qubit)
        for qubit in range(4):
            circuit.cx(qubit, qubit + 1)
    circuit.measure(range(5), range(5))
    return circuit


def long(qubits: int = 15, layers: int = 24) -> QuantumCircuit:
    """A circuit with one parameter, that takes 50 ms or more by one thread."""
    theta = Parameter("theta")
    circuit = QuantumCircuit(qubits, qubits)
    for _ in range(layers):
        for qubit in range(qubits):
            circuit.ry(theta, qubit)
        for qubit in range(qubits - 1):
            circuit.cx(qubit, qubit + 1)
    circuit.measure(range(qubits), range(qubits))
    return circuit


def seconds(way: Callable[[Any], None], part: Any) -> tuple[float, float]:
    """Return how long it takes, and for how long this process has a processor meanwhile."""
    start, used = time.perf_counter(), time.process_time()
    way(part)
    return time.perf_counter() - start, time.process_time() - used


def bare_sweep(angles: Sequence[float]) -> None:
    """Run the sweep as one would without anyjob."""
    circuit = long()
    simulator = AerSimulator(max_parallel_threads=1)  # as the jobs have it by themselves
    (parameter,) = circuit.parameters
    for angle in angles:
        result = simulator.run(circuit.assign_parameters({parameter: angle}), shots=SHOTS).result()
        assert result.get_counts()


def forking_sweep(angles: Sequence[float]) -> None:
    """Run the sweep with a process for each circuit, forked from this one, that gives counts by a pipe."""
    from anyjob_qiskit.simulation import dump_circuits, simulate

    program = dump_circuits([long()])
    options = {"shots": SHOTS, "seed": None, "per_shot": False, "level": None}
    gc.collect()
    gc.freeze()
    for angle in angles:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            with open(writing, "wb") as pipe:
                pickle.dump(simulate(program, {"threads": 1}, {"theta": angle}, options), pipe)
                pipe.flush()
                os._exit(0)
        os.close(writing)
        with open(reading, "rb") as pipe:
            assert pickle.load(pipe)[0]["counts"]
        os.waitpid(child, 0)


def compare(
    ways: dict[str, Callable[[Any], None]],
    bare: Callable[[Any], None],
    parts: Sequence[Any],
    rounds: int,
    here: bool = False,
) -> bool:
    """Let all take turns; print rates and their ratios to bare Aer, and return whether they are good enough.

    Args:
        ways: by what they are called, ours and others.
        bare: what they are compared with.
        parts: what each is given, one part a turn, all of them in a round.
        rounds: how often.
        here: all of them run in this process, so that times of its processor tell something.
    """
    every = {**ways, BARE: bare}
    for way in every.values():  # what it needs is loaded, and runs
        way(parts[0][:4])
    times: dict[str, list[float]] = {name: [] for name in every}
    used: dict[str, list[float]] = {name: [] for name in every}
    for turn, part in enumerate([*parts] * rounds):
        for name in sorted(every, reverse=turn % 2 == 1):
            took, on_processor = seconds(every[name], part)
            times[name].append(took)
            used[name].append(on_processor)
    good = True
    for name in ways:
        ratios = [other / own for own, other in zip(times[name], times[BARE], strict=True)]
        low, ratio, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        own, other = (statistics.median(times[each]) / len(parts[0]) for each in (name, BARE))
        good = good and ratio >= TARGETS[name]
        missed = "" if ratio >= TARGETS[name] else "   <- missed"
        print(
            f"{name:20} {1 / own:7.1f} circuits/s   bare Aer {1 / other:7.1f} circuits/s   "
            f"({1000 * other:.1f} ms each)   "
            f"{ratio:.2f} ({low:.2f} to {high:.2f}; at least {TARGETS[name]:g}){missed}",
            flush=True,
        )
        if here:
            own, other = (1000 * statistics.median(used[each]) / len(parts[0]) for each in (name, BARE))
            print(f"{'':20} of a processor {own:.2f} ms each, bare Aer {other:.2f} ms   {other / own:.2f}")
    return good


def of_small(rounds: int) -> bool:
    """Compare the two ways to run small circuits."""
    circuits = [small(seed) for seed in range(SMALL)]
    simulator = AerSimulator(max_parallel_threads=1)
    session = Session(Config.from_dict({"backends": {"aer": {"type": "aer", "threads": 1}}}))
    backend = session.get_backend("aer")

    def ours_each(circuits: Sequence[QuantumCircuit]) -> None:
        for circuit in circuits:
            assert backend.run(Circuit(circuit, shots=SHOTS)).result().counts

    def bare_each(circuits: Sequence[QuantumCircuit]) -> None:
        for circuit in circuits:
            assert simulator.run(circuit, shots=SHOTS).result().get_counts()

    def ours_together(circuits: Sequence[QuantumCircuit]) -> None:
        jobs = backend.run_many([Circuit(circuit, shots=SHOTS) for circuit in circuits])
        for job in jobs:
            assert job.result().counts

    def bare_together(circuits: Sequence[QuantumCircuit]) -> None:
        jobs = [simulator.run(circuit, shots=SHOTS) for circuit in circuits]
        for job in jobs:
            assert job.result().get_counts()

    parts = [circuits[start : start + TURN] for start in range(0, SMALL, TURN)]
    with session:
        each = compare({"one after the other": ours_each}, bare_each, parts, rounds, here=True)
        return compare({"all together": ours_together}, bare_together, [circuits], rounds, here=True) and each


def of_sweep(number: int, rounds: int) -> bool:
    """Compare a sweep on two slots with one in this process."""
    circuit = long()
    angles = [float(angle) for angle in np.linspace(0, 3, number)]
    parts = [angles[start : start + SWEPT] for start in range(0, number, SWEPT)]
    loaded = {"preload": ["anyjob_qiskit.simulation"]}
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as other,
        local_backend(one, **loaded) as forks,
        local_backend(other, **loaded, isolation="reuse") as reuses,
        ProcessPoolExecutor(2, get_context("spawn")) as pair,
    ):

        def ours(backend: Any, angles: Sequence[float]) -> None:
            jobs = backend.run_many(sweep(Circuit(circuit, shots=SHOTS), theta=angles))
            for job in jobs:
                assert job.result().counts

        def two(sweep: Callable[[Sequence[float]], None], angles: Sequence[float]) -> None:
            list(pair.map(sweep, [angles[::2], angles[1::2]]))

        ways = {
            FORKED: functools.partial(ours, forks),
            REUSED: functools.partial(ours, reuses),
            PAIR: functools.partial(two, bare_sweep),
            FORKS: functools.partial(two, forking_sweep),
        }
        return compare(ways, bare_sweep, parts, rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rounds", nargs="?", type=int, default=5)
    parser.add_argument("--sweep", type=int, default=1000)
    given = parser.parse_args()
    good = of_small(given.rounds)
    return 0 if of_sweep(given.sweep, max(1, given.rounds // 2)) and good else 1


if __name__ == "__main__":
    raise SystemExit(main())
