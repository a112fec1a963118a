"""Hands circuits to a device, by ``backend.run`` or by a sampler, and finds its jobs again."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from anyjob import BackendError, SpecError
from anyjob_qiskit.circuits.spec import Circuit
from anyjob_qiskit.circuits.transpiling import Transpiler
from anyjob_qiskit.config import JobOptions, RunOptions
from anyjob_qiskit.devices.batches import Batch
from anyjob_qiskit.devices.seeds import seed_options
from anyjob_qiskit.results.reading import classical_bits, loose_bits
from anyjob_qiskit.simulation import assign_parameters


def check(
    device: Any,
    spec: Circuit,
    circuits: Sequence[Any],
    options: RunOptions,
    mode: Any = None,
) -> None:
    """Check that a device can be handed all that is asked for, in a session or batch where one is open.

    Raises:
        SpecError: it cannot: a seed, bits outside of registers.
    """
    seed = options.seed if spec.seed is None else spec.seed
    if mode is None and not uses_sampler(device, options):
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


def run(device: Any, batch: Batch, options: RunOptions, job_options: JobOptions, mode: Any = None) -> Any:
    """Hand circuits, which are ready for it, to a device; return its job.

    Args:
        device: the backend of Qiskit's.
        batch: the circuits.
        options: how they are run.
        job_options: what their jobs were told for the device.
        mode: a session or batch of qiskit-ibm-runtime to run them in, by its sampler.

    Raises:
        Exception: whatever the device raises.
    """
    spec = batch.spec
    circuits = [circuit for item in batch.items for circuit in item.circuits]
    seed = options.seed if spec.seed is None else spec.seed
    if mode is not None or uses_sampler(device, options):
        return _sample(device, circuits, spec.shots, seed, job_options.run, mode)
    more: dict[str, Any] = {"memory": True} if spec.per_shot else {}
    seeds = seed_options(device, seed, options.seed_option)
    return device.run(circuits, shots=spec.shots, **{**more, **seeds, **job_options.run})


class Preparation:
    """Makes the circuits of one launch ready for a device: each is transpiled once, also that of a sweep.

    Some targets take no angle that is not known: for these, parameters are bound before.

    Args:
        transpiler: None: circuits are only bound.
    """

    def __init__(self, transpiler: Transpiler | None) -> None:
        self._transpiler = transpiler
        self._known: dict[tuple[int, int | None], tuple[Any, Any]] = {}

    def __call__(self, circuit: Any, parameters: Mapping[str, Any], level: int | None) -> Any:
        """Return a circuit transpiled, with values for its parameters.

        Raises:
            SpecError: it cannot be transpiled for the device.
        """
        if self._transpiler is None:
            return assign_parameters(circuit, parameters)
        key = id(circuit), level
        if key not in self._known:
            try:
                self._known[key] = circuit, self._transpiler(circuit, level)
            except Exception as error:
                if not circuit.parameters:
                    raise _unfit(circuit, error) from error
                self._known[key] = circuit, None
        transpiled = self._known[key][1]
        bound = assign_parameters(circuit if transpiled is None else transpiled, parameters)
        if transpiled is not None:
            return bound
        try:
            return self._transpiler(bound, level)
        except Exception as error:
            raise _unfit(circuit, error) from error


def _unfit(circuit: Any, error: Exception) -> SpecError:
    words = getattr(error, "message", None) or str(error)
    return SpecError(f"{circuit.name}: it cannot be transpiled for the device: {words}")


def uses_sampler(device: Any, options: RunOptions) -> bool:
    """Return whether circuits go through a sampler, since backends of IBM's service cannot ``run``."""
    if options.interface != "auto":
        return options.interface == "sampler"
    return _is_of_ibms_service(device)


def _is_of_ibms_service(device: Any) -> bool:
    return any(each.__name__ == "IBMBackend" for each in type(device).__mro__)


def _sample(
    device: Any, circuits: Sequence[Any], shots: int, seed: int | None, more: dict[str, Any], mode: Any
) -> Any:
    try:
        from qiskit_ibm_runtime import SamplerV2
    except ImportError as error:
        raise SpecError(
            "interface = 'sampler' takes qiskit-ibm-runtime: pip install 'anyjob-qiskit[ibm]'"
        ) from error
    with warnings.catch_warnings():
        # 0.50 and later announce another one, which older ones have not.
        warnings.simplefilter("ignore", DeprecationWarning)
        sampler = SamplerV2(mode=device if mode is None else mode)
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
