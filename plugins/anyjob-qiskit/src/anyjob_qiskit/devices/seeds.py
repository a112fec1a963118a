"""How a device calls the seed of a simulation, in the options of its ``run``."""

from __future__ import annotations

from typing import Any

from anyjob import SpecError

_BY_CLASS = {
    "OfflineSimulatorResource": "seed_simulator",
    "HybridQasmSimulatorBackend": "seed",
    "PathQasmSimulatorBackend": "seed",
    "UnitarySimulatorBackend": "seed",
    "StochasticNoiseSimulatorBackend": "seed_simulator",
    "DeterministicNoiseSimulatorBackend": "simulator_seed",
}
"""Those of AQT and DDSIM, which read another option than they list, or list none."""
LISTED = "seed_simulator"
"""What Qiskit's own backends call it, and list among their options."""


def seed_options(device: Any, seed: int | None, name: str | None) -> dict[str, Any]:
    """Return the options of ``run`` that hand over a seed.

    Args:
        device: the backend of Qiskit's.
        seed: None: there is none.
        name: what the device calls it, as configured; empty: seeds are not handed over; None: not known.

    Raises:
        SpecError: it is not known how the device takes a seed, so that it would be dropped silently.
    """
    if seed is None or name == "":
        return {}
    if name is None:
        name = next((_BY_CLASS[e.__name__] for e in type(device).__mro__ if e.__name__ in _BY_CLASS), None)
    if name is None and hasattr(getattr(device, "options", None), LISTED):
        name = LISTED
    if name is None:
        raise SpecError(
            f"{type(device).__name__} lists no option for the seed {seed}: leave it out, or configure what "
            'its run calls it, as seed_option = "seed"; seed_option = "" runs without'
        )
    return {name: seed}
