"""Quantum circuits for anyjob: kinds (``circuit``, ``estimate``), backends (``aer``, ``qiskit``), a provider.

Importing the package imports neither Qiskit nor anyjob: each name is loaded when it is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob_qiskit.circuits.spec import Circuit, sweep
    from anyjob_qiskit.estimates.result import EstimateResult
    from anyjob_qiskit.estimates.spec import Estimate
    from anyjob_qiskit.primitives import as_backend_v2
    from anyjob_qiskit.results.circuit_result import CircuitResult, Experiment
    from anyjob_qiskit.wrapped_job import WrappedJob, wrap

__all__ = [
    "Circuit",
    "CircuitResult",
    "Estimate",
    "EstimateResult",
    "Experiment",
    "WrappedJob",
    "as_backend_v2",
    "sweep",
    "wrap",
]

_MODULES = {
    "Circuit": "circuits.spec",
    "CircuitResult": "results.circuit_result",
    "Estimate": "estimates.spec",
    "EstimateResult": "estimates.result",
    "Experiment": "results.circuit_result",
    "WrappedJob": "wrapped_job",
    "as_backend_v2": "primitives",
    "sweep": "circuits.spec",
    "wrap": "wrapped_job",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found
