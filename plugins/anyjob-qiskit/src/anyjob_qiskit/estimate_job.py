"""The kind ``estimate``: rewritten as circuits that measure the observables, it runs where these do."""

from __future__ import annotations

from typing import Any

from anyjob import TaskJob
from anyjob_qiskit.circuits.brief import names_of, values_of
from anyjob_qiskit.circuits.spec import Circuit
from anyjob_qiskit.estimates.result import EstimateResult
from anyjob_qiskit.estimates.spec import Estimate


class EstimateJob(TaskJob[EstimateResult]):
    """The kind ``estimate``: values of observables. Its result is an `EstimateResult`."""

    spec_type = Estimate
    lowers_to = ("circuit",)

    @classmethod
    def lower(cls, spec: Estimate, to: str) -> Circuit:
        """Rewrite as circuits, one for all observables that can be measured together.

        Raises:
            SpecError: the circuit does not fit the observables: see `anyjob_qiskit.estimates.measuring`.
        """
        from anyjob_qiskit.estimates.measuring import measuring_circuits

        return spec.measuring(measuring_circuits(spec.circuit, spec.observables))

    @classmethod
    def lift(cls, spec: Estimate, to: str, value: Any) -> EstimateResult:
        """The circuits have been counted."""
        from anyjob_qiskit.estimates.measuring import estimated

        values, errors = estimated(spec.observables, value)
        return EstimateResult(value[0].name, list(spec.observables), values, errors, spec.shots)

    @classmethod
    def describe(cls, spec: Estimate) -> str:
        """The observables, the circuit by its name, and the values of parameters."""
        more = f" and {len(spec.observables) - 1} more" if spec.observables[1:] else ""
        (name,) = names_of([spec.circuit])
        return ", ".join([f"{spec.observables[0]:.60}{more} of {name}", *values_of(spec.parameters)])

    @classmethod
    def show(cls, value: Any) -> str:
        """A table of the values."""
        return str(value)
