"""The spec of the kind ``estimate``: a circuit, and observables to measure. Imports no Qiskit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from msgspec.structs import force_setattr

from anyjob import File, Spec, SpecError
from anyjob_qiskit.circuits.spec import Circuit
from anyjob_qiskit.estimates.observables import as_texts

if TYPE_CHECKING:
    from anyjob_qiskit.estimates.result import EstimateResult  # noqa: F401 (in the base of Estimate, as text)

PRECISION = 1 / 64
"""That of Qiskit's own estimators: 4,096 shots."""


class Estimate(Spec["EstimateResult"], frozen=True, tag="estimate"):
    """Values of observables in the state that a circuit makes, estimated from measurements.

    Args:
        circuit: a file of OpenQASM 2, OpenQASM 3 or QPY; a program may give what a `Circuit` takes, too. The
            state is that before measurements at its end, which are left out.
        observables: weighted sums of Pauli strings, such as ``0.5*ZZ - 1.5*XI``, the last letter for qubit 0;
            a program may give mappings, and Qiskit's ``Pauli`` and ``SparsePauliOp``, too.
        precision: the standard error that a Pauli string may have at most: each circuit is run
            1 / precision² times.
        seed: makes a simulation repeatable; a device that has none refuses it.
        parameters: values for the parameters of the circuit, by name; for a vector of parameters all its
            values.
        level: how hard the transpiler tries to make the circuits short, 0 to 3; by default the backend says.
        method: how a simulator goes about it, as for a `Circuit`.

    Raises:
        SpecError: it could not be run anywhere.
    """

    circuit: File
    observables: tuple[str, ...]
    precision: float = PRECISION
    seed: int | None = None
    parameters: dict[str, float | list[float]] = {}
    level: int | None = None
    method: str | None = None

    def __post_init__(self) -> None:
        try:
            precision = float(self.precision)
        except (TypeError, ValueError):
            precision = math.nan
        if not 0 < precision <= 1:
            raise SpecError(f"precision is more than 0 and at most 1, not {self.precision!r}")
        force_setattr(self, "precision", precision)
        force_setattr(self, "observables", as_texts(self.observables))
        checked = self.measuring((self.circuit,))
        force_setattr(self, "circuit", checked.circuits[0])
        for name in ("seed", "parameters", "level"):
            force_setattr(self, name, getattr(checked, name))
        super().__post_init__()

    @property
    def shots(self) -> int:
        """How often each circuit is run."""
        return math.ceil(1 / self.precision**2)

    def measuring(self, circuits: Any) -> Circuit:
        """Return circuits as they are to be run for this.

        Raises:
            SpecError: the circuits, or a field of this, make no sense.
        """
        return Circuit(
            circuits,
            shots=self.shots,
            seed=self.seed,
            parameters=self.parameters,
            level=self.level,
            method=self.method,
        )
