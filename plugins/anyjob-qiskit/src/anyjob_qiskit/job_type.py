"""The kind ``circuit``: how it is checked, what it is rewritten as, and how its result is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from anyjob import Call, File, TaskJob
from anyjob_qiskit.circuits.brief import names_of, values_of
from anyjob_qiskit.circuits.spec import Circuit
from anyjob_qiskit.results.circuit_result import CircuitResult

_FLIP = File(
    "flip.qasm", b'OPENQASM 3.0; include "stdgates.inc"; qubit[1] q; bit[1] c; x q[0]; c = measure q;'
)


class CircuitJob(TaskJob[CircuitResult]):
    """The kind ``circuit``: a backend for circuits runs it as it is; any other one simulates it with Aer.

    Its result is a `CircuitResult`.
    """

    spec_type = Circuit
    lowers_to = ("python",)
    writes: ClassVar[Mapping[str, str]] = {
        "plot": "The histograms, drawn in the format that its name says: .png, .svg, .pdf."
    }

    @classmethod
    def lower(cls, spec: Circuit, to: str) -> Call:
        """Rewrite as a call that simulates the circuits; it needs Qiskit, Aer and this package there.

        Raises:
            SpecError: a circuit is not fit to be run: see `circuits.validation.validated_circuits`.
        """
        from anyjob_qiskit.circuits.formats import dump_circuits_once
        from anyjob_qiskit.circuits.validation import validated_circuits

        circuits = validated_circuits(spec)
        settings = {"method": spec.method} if spec.method else {}
        run_options = {"shots": spec.shots, "seed": spec.seed, "per_shot": spec.per_shot, "level": spec.level}
        # By name, so that nothing of Qiskit is pickled: versions may differ.
        return Call(
            "anyjob_qiskit.simulation:simulate",
            (dump_circuits_once(spec.circuits, circuits), settings, dict(spec.parameters), run_options),
        )

    @classmethod
    def lift(cls, spec: Circuit, to: str, value: Any) -> CircuitResult:
        """The call has returned plain data, or a backend for circuits has left the same."""
        return CircuitResult.of(value)

    @classmethod
    def describe(cls, spec: Circuit) -> str:
        """The circuits by their names, the shots, and the values of parameters."""
        return ", ".join([*names_of(spec.circuits), f"{spec.shots:,} shots", *values_of(spec.parameters)])

    @classmethod
    def sample(cls) -> Circuit:
        """A qubit that is flipped and measured."""
        return Circuit((_FLIP,), shots=10)

    @classmethod
    def show(cls, value: Any) -> str:
        """A histogram for each circuit."""
        return str(value)

    @classmethod
    def write(cls, value: Any, what: str, path: str) -> None:
        """Draw the histograms into a file.

        Raises:
            BackendError: matplotlib is not installed, or cannot write that file.
        """
        assert what == "plot"
        value.plot(path)

    @classmethod
    def check_write(cls, what: str, path: str) -> None:
        """Refuse a format that matplotlib does not draw, before anything is run.

        Raises:
            BackendError: matplotlib is not installed, or does not know the format.
        """
        from anyjob_qiskit.results.histogram import check_plot

        check_plot(path)
