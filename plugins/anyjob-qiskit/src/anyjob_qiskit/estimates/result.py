"""The result of the kind ``estimate``: plain data, and as Qiskit's own class on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from anyjob import BackendError

if TYPE_CHECKING:
    from qiskit.primitives import PrimitiveResult


class EstimateResult(msgspec.Struct, frozen=True):
    """Values of observables. As text it is a table.

    Args:
        name: what the circuit is called.
        observables: what was asked for, as text.
        values: the value of each.
        errors: the standard error of each value.
        shots: how often each circuit was run.
    """

    name: str
    observables: list[str]
    values: list[float]
    errors: list[float]
    shots: int

    @property
    def value(self) -> float:
        """The value of the only observable.

        Raises:
            BackendError: there are several: use ``values``.
        """
        if len(self.values) != 1:
            raise BackendError(f"these are the values of {len(self.values)} observables: use values")
        return self.values[0]

    def __str__(self) -> str:
        width = min(60, max(map(len, self.observables)))
        lines = [f"{self.name}: {self.shots:,} shots of each circuit"]
        for text, value, error in zip(self.observables, self.values, self.errors, strict=True):
            short = text if len(text) <= width else f"{text[: width - 1]}…"
            lines.append(f"{short:>{width}}  {value: .6f} ± {error:.6f}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, fit for JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def to_primitive(self) -> PrimitiveResult[Any]:
        """Return it as Qiskit's ``PrimitiveResult``, as an estimator gives it: ``evs`` and ``stds``."""
        import numpy as np
        from qiskit.primitives import DataBin, PrimitiveResult, PubResult

        values, errors = np.array(self.values), np.array(self.errors)
        data = DataBin(evs=values, stds=errors, shape=values.shape)
        return PrimitiveResult([PubResult(data, metadata={"shots": self.shots})], metadata={"version": 2})
