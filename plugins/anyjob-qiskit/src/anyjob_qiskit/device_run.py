"""Hands circuits to a device, by ``backend.run`` or by a sampler, and finds its jobs again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from anyjob import BackendError
from anyjob_qiskit.batches import Batch
from anyjob_qiskit.config import RunOptions
from anyjob_qiskit.simulation import Transpiler, assign_parameters


def run(device: Any, batch: Batch, options: RunOptions, transpiler: Transpiler) -> Any:
    """Hand circuits to a device, transpiled for it; return its job.

    Raises:
        Exception: whatever the device raises.
    """
    spec = batch.spec
    level = options.level if spec.level is None else spec.level
    transpiled: dict[int, Any] = {}
    circuits = []
    for item in batch.items:
        for circuit in item.circuits:
            known = transpiled.get(id(circuit))
            if known is None:  # of a sweep, the one program is transpiled once
                known = transpiled[id(circuit)] = transpiler(circuit, level)
            circuits.append(assign_parameters(known, item.spec.parameters))
    seed = options.seed if spec.seed is None else spec.seed
    if options.interface == "sampler" or (options.interface == "auto" and _wants_sampler(device)):
        return _sample(device, circuits, spec.shots, seed)
    more: dict[str, Any] = {"memory": True} if spec.per_shot else {}
    if seed is not None and hasattr(device.options, "seed_simulator"):
        more["seed_simulator"] = seed
    return device.run(circuits, shots=spec.shots, **more)


def _wants_sampler(device: Any) -> bool:
    """IBM's own backends have no ``run`` that works: circuits go through a sampler."""
    return any(each.__name__ == "IBMBackend" for each in type(device).__mro__)


def _sample(device: Any, circuits: Sequence[Any], shots: int, seed: int | None) -> Any:
    from qiskit_ibm_runtime import SamplerV2

    with warnings.catch_warnings():
        # 0.50 and later announce another one, which older ones have not.
        warnings.simplefilter("ignore", DeprecationWarning)
        sampler = SamplerV2(mode=device)
    if seed is not None:
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
