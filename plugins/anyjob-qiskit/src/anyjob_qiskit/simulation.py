"""Simulates circuits with Aer. Needs Qiskit and Aer only, so that it runs where anyjob is not installed."""

from __future__ import annotations

import io
import json
import os
import threading
import warnings
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, qpy
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from anyjob_qiskit.circuits.qpy_writing import write_qpy
from anyjob_qiskit.circuits.transpiling import Transpiler
from anyjob_qiskit.results.reading import CircuitError, classical_bits, experiment_data

MAX_CACHED = 512
"""How many transpiled circuits a simulator caches."""


TARGET = AerSimulator().target
"""What Aer simulates by itself; made when a process loads this, so that its forks need not."""


class Simulator:
    """One of Aer's simulators, with the circuits that were transpiled for it.

    Args:
        settings: plain data: ``method``, ``precision``, ``threads`` (0: as many as there are), ``noise`` (a
            noise model as Aer writes it) and ``device`` (the name of a fake device), as far as they are set.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.backend = make_simulator(settings)
        self.num_qubits: int | None = self.backend.num_qubits if settings.get("device") else None
        self._transpile = Transpiler(self.backend, TARGET if set(settings) <= {"threads"} else None)
        self._transpiled: dict[tuple[int, int | None], tuple[QuantumCircuit, QuantumCircuit]] = {}

    def run(
        self,
        circuits: Sequence[QuantumCircuit],
        parameters: Mapping[str, float | list[float]],
        *,
        shots: int,
        seed: int | None,
        per_shot: bool,
        level: int | None,
        more: Mapping[str, Any] = {},
    ) -> list[dict[str, Any]]:
        """Run circuits, and return what came of each: see `anyjob_qiskit.results.reading.experiment_data`.

        In ``more`` are other options of Aer's ``run``.
        """
        bound = [assign_parameters(self.transpiled(circuit, level), parameters) for circuit in circuits]
        options: dict[str, Any] = {} if seed is None else {"seed_simulator": seed}
        result = run_here(self.backend, bound, shots=shots, memory=per_shot, **{**options, **more})
        return experiment_data(result, [classical_bits(each) for each in circuits], per_shot=per_shot)

    def transpiled(self, circuit: QuantumCircuit, level: int | None) -> QuantumCircuit:
        """Return a circuit in operations that the simulator has; one that was transpiled is cached."""
        key = (id(circuit), level)
        known = self._transpiled.get(key)
        if known is None or known[0] is not circuit:
            if len(self._transpiled) >= MAX_CACHED:
                self._transpiled.clear()
            known = circuit, self._transpile(circuit, level)
            if known[1] is not circuit:
                self._transpiled[key] = known
        return known[1]


def run_here(simulator: AerSimulator, circuits: list[QuantumCircuit], **options: Any) -> Any:
    """Run circuits in this very thread, and return Aer's ``Result``.

    Aer's ``run`` hands them to a thread of its own, and there is no public way around it. The way there and
    back costs 2 % of a small circuit, and the thread stays: a process that has one makes no further call.
    """
    execute = getattr(simulator, "_execute_circuits_job", None)  # a later Aer may have none
    # The threads that OpenMP starts for the main thread are sought in vain by its forks, which would hang.
    forkable = simulator.options.max_parallel_threads == 1 or not _is_main_thread()
    if execute is None or not forkable:
        return simulator.run(circuits, **options).result()
    return execute(circuits, None, options)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def make_simulator(settings: Mapping[str, Any]) -> AerSimulator:
    """Make one of Aer's simulators; see `Simulator`.

    Raises:
        CircuitError: there is no such device, or the noise model makes no sense.
    """
    options: dict[str, Any] = {}
    for name in ("method", "precision"):
        if settings.get(name):
            options[name] = settings[name]
    if settings.get("threads"):
        options["max_parallel_threads"] = settings["threads"]
    if settings.get("noise"):
        options["noise_model"] = noise_model(settings["noise"])
    if settings.get("device"):
        return AerSimulator.from_backend(fake_device(settings["device"]), **options)
    return AerSimulator(**options)


def noise_model(written: Mapping[str, Any]) -> NoiseModel:
    """Return the noise model that was written as ``NoiseModel.to_dict(serializable=True)``.

    Raises:
        CircuitError: it makes no sense.
    """
    try:
        errors = [{**error, **_with_matrices(error)} for error in written["errors"]]
        with warnings.catch_warnings():
            # Aer has no other way to read one: it says so since 0.15, and has put nothing in its place.
            warnings.simplefilter("ignore", DeprecationWarning)
            return NoiseModel.from_dict({**written, "errors": errors})
    except Exception as error:  # whatever nonsense makes of it
        raise CircuitError(f"this is no noise model of Aer: {type(error).__name__}: {error}") from error


def _with_matrices(error: Mapping[str, Any]) -> dict[str, Any]:
    """The instructions of an error, with arrays of complex numbers, which JSON has as pairs."""
    if "instructions" not in error:
        return {}
    return {"instructions": [[_with_matrix(each) for each in some] for some in error["instructions"]]}


def _with_matrix(instruction: Mapping[str, Any]) -> Mapping[str, Any]:
    if instruction.get("name") not in ("kraus", "unitary"):
        return instruction
    matrices = [np.array(each, dtype=float) for each in instruction["params"]]
    return {**instruction, "params": [each[..., 0] + 1j * each[..., 1] for each in matrices]}


def fake_device(name: str) -> Any:
    """Return the fake device of this name: ``fake_manila`` or ``FakeManilaV2``.

    Raises:
        CircuitError: there is none, or qiskit-ibm-runtime, which brings them, is not installed.
    """
    try:
        from qiskit_ibm_runtime import fake_provider
    except ImportError as error:
        raise CircuitError(
            f"the fake device {name!r} comes with qiskit-ibm-runtime: pip install 'anyjob-qiskit[ibm]'"
        ) from error
    wanted = name.lower().replace("_", "")
    classes = {each.lower(): each for each in dir(fake_provider) if each.startswith("Fake")}
    found = classes.get(f"{wanted}v2") or classes.get(wanted)
    if found is None:
        names = ", ".join(sorted(classes.values())[:4])
        raise CircuitError(f"qiskit-ibm-runtime has no fake device {name!r}; it has {names} and others")
    return getattr(fake_provider, found)()


def assign_parameters(
    circuit: QuantumCircuit, parameters: Mapping[str, float | list[float]]
) -> QuantumCircuit:
    """Return a circuit with values in place of those of its parameters that are given."""
    if not circuit.parameters:
        return circuit
    values = {}
    for parameter in circuit.parameters:
        vector = getattr(parameter, "vector", None)
        name = parameter.name if vector is None else vector.name
        if name in parameters:
            value = parameters[name]
            values[parameter] = value[parameter.index] if isinstance(value, list) else value
    found = circuit.assign_parameters(values)
    found.name = circuit.name  # else it gets one that is made up
    return found


_local = threading.local()


def simulator(settings: Mapping[str, Any]) -> Simulator:
    """Return the simulator of these settings; each thread has its own."""
    known: dict[str, Simulator] | None = getattr(_local, "simulators", None)
    if known is None:
        known = _local.simulators = {}
    key = json.dumps(settings, sort_keys=True, default=repr)
    found = known.get(key)
    if found is None:
        found = known[key] = Simulator(settings)
    return found


simulator({"threads": 1})  # what `simulate` takes where nobody says; its forks need not make it


def dump_circuits(circuits: list[QuantumCircuit]) -> bytes:
    """Return circuits as compressed QPY, to be sent with each job of a sweep."""
    return zlib.compress(write_qpy(circuits))


def load_circuits(programs: bytes) -> list[QuantumCircuit]:
    """Return the circuits that `dump_circuits` wrote."""
    found: list[QuantumCircuit] = qpy.load(io.BytesIO(zlib.decompress(programs)))
    return found


def simulate(
    programs: bytes, settings: dict[str, Any], parameters: dict[str, Any], run_options: dict[str, Any]
) -> list[dict[str, Any]]:
    """Simulate circuits wherever this is called: what a ``circuit`` is lowered to.

    It takes one core, since other jobs may run beside it, unless the variable ``OMP_NUM_THREADS`` says more.

    Args:
        programs: the circuits, as `dump_circuits` writes them.
        settings: which simulator: see `Simulator`.
        parameters: values of parameters.
        run_options: ``shots``, ``seed``, ``per_shot`` and ``level``.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    settings = {"threads": int(threads) if threads.isdecimal() else 1, **settings}
    return simulator(settings).run(load_circuits(programs), parameters, **run_options)
