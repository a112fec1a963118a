"""Hands circuits to a device, by ``backend.run`` or by a sampler, and finds its jobs again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from anyjob import BackendError, SpecError
from anyjob_qiskit.batches import Batch
from anyjob_qiskit.config import JobOptions, RunOptions
from anyjob_qiskit.result_reading import classical_bits, loose_bits
from anyjob_qiskit.seeds import seed_options
from anyjob_qiskit.simulation import assign_parameters
from anyjob_qiskit.spec import Circuit
from anyjob_qiskit.transpiling import Transpiler


def check(
    device: Any, spec: Circuit, circuits: Sequence[Any], options: RunOptions, job_options: JobOptions
) -> None:
    """Check that a device can be handed all that is asked for.

    Raises:
        SpecError: it cannot: a seed, bits outside of registers, options that are the circuit's.
    """
    if set(job_options.run) & {"shots", "memory"}:
        raise SpecError("shots and memory are those of the circuit: Circuit(…, shots=100, per_shot=True)")
    seed = options.seed if spec.seed is None else spec.seed
    if not uses_sampler(device, options):
        seed_options(device, seed, options.seed_option)
        return
    if seed is not None and options.seed_option != "" and _is_of_ibms_service(device):
        raise SpecError(
            f'{device.name} is no simulator, and takes no seed: leave it out, or configure seed_option = ""'
        )
    for circuit in circuits:
        if loose_bits(classical_bits(circuit)):
            raise SpecError(
                f"{circuit.name}: a sampler gives only bits that are in registers, and some are in none"
            )


def run(
    device: Any, batch: Batch, options: RunOptions, job_options: JobOptions, transpiler: Transpiler
) -> Any:
    """Hand circuits to a device, transpiled for it; return its job.

    Raises:
        Exception: whatever the device raises.
    """
    spec = batch.spec
    level = options.level if spec.level is None else spec.level
    translated = _Translated(transpiler if job_options.transpile else None, level)
    circuits = [
        translated(circuit, item.spec.parameters) for item in batch.items for circuit in item.circuits
    ]
    seed = options.seed if spec.seed is None else spec.seed
    if uses_sampler(device, options):
        return _sample(device, circuits, spec.shots, seed, job_options.run)
    more: dict[str, Any] = {"memory": True} if spec.per_shot else {}
    seeds = seed_options(device, seed, options.seed_option)
    return device.run(circuits, shots=spec.shots, **{**more, **seeds, **job_options.run})


class _Translated:
    """Transpiles each circuit once, also that of a sweep, and binds its parameters.

    Some targets take no angle that is not known: for these, parameters are bound before.

    Args:
        transpiler: None: circuits stay as they are.
        level: Qiskit's ``optimization_level``; None: as fits the device.
    """

    def __init__(self, transpiler: Transpiler | None, level: int | None) -> None:
        self._transpiler = transpiler
        self._level = level
        self._known: dict[int, Any] = {}

    def __call__(self, circuit: Any, parameters: Mapping[str, Any]) -> Any:
        if self._transpiler is None:
            return assign_parameters(circuit, parameters)
        if id(circuit) not in self._known:
            try:
                self._known[id(circuit)] = self._transpiler(circuit, self._level)
            except Exception:
                if not circuit.parameters:
                    raise
                self._known[id(circuit)] = None
        known = self._known[id(circuit)]
        if known is None:
            return self._transpiler(assign_parameters(circuit, parameters), self._level)
        return assign_parameters(known, parameters)


def uses_sampler(device: Any, options: RunOptions) -> bool:
    """Return whether circuits go through a sampler, since backends of IBM's service cannot ``run``."""
    if options.interface != "auto":
        return options.interface == "sampler"
    return _is_of_ibms_service(device)


def _is_of_ibms_service(device: Any) -> bool:
    return any(each.__name__ == "IBMBackend" for each in type(device).__mro__)


def _sample(device: Any, circuits: Sequence[Any], shots: int, seed: int | None, more: dict[str, Any]) -> Any:
    try:
        from qiskit_ibm_runtime import SamplerV2
    except ImportError as error:
        raise SpecError(
            "interface = 'sampler' takes qiskit-ibm-runtime: pip install 'anyjob-qiskit[ibm]'"
        ) from error
    with warnings.catch_warnings():
        # 0.50 and later announce another one, which older ones have not.
        warnings.simplefilter("ignore", DeprecationWarning)
        sampler = SamplerV2(mode=device)
    if more:
        sampler.options.update(**more)
    if seed is not None and not _is_of_ibms_service(device):
        sampler.options.simulator.seed_simulator = seed
    return sampler.run(list(circuits), shots=shots)


def retrieve_job(device: Any, job_id: str) -> Any:
    """Return the job that a device, or the service that it is of, knows by this id.

    Raises:
        LookupError: there is none.
        BackendError: neither can find jobs again.
    """
    service = getattr(device, "service", None) or getattr(device, "provider", None)
    for owner, names in ((device, ("retrieve_job",)), (service, ("job", "retrieve_job"))):
        for name in names:
            find = getattr(owner, name, None)
            if callable(find):
                return find(job_id)
    raise BackendError(
        f"{type(device).__name__} has no retrieve_job(), nor has its provider: a job of another process "
        "cannot be found again; set durable = false"
    )
