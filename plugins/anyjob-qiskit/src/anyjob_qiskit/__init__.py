"""Quantum circuits for anyjob: kinds (``circuit``, ``estimate``), backends (``aer``, ``qiskit``), a provider.

Importing the package imports neither Qiskit nor anyjob: each name is loaded when it is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob_qiskit.estimate_spec import Estimate
    from anyjob_qiskit.estimates import EstimateResult
    from anyjob_qiskit.primitives import as_backend_v2
    from anyjob_qiskit.results import CircuitResult, Experiment
    from anyjob_qiskit.spec import Circuit, sweep
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
    "Circuit": "spec",
    "CircuitResult": "results",
    "Estimate": "estimate_spec",
    "EstimateResult": "estimates",
    "Experiment": "results",
    "WrappedJob": "wrapped_job",
    "as_backend_v2": "primitives",
    "sweep": "spec",
    "wrap": "wrapped_job",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found
