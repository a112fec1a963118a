"""The result of the kind ``circuit``: plain data, and as Qiskit's own classes on demand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from anyjob import BackendError
from anyjob_qiskit.results.histogram import render_text, save_plot

if TYPE_CHECKING:
    from qiskit.primitives import PrimitiveResult
    from qiskit.result import Result


class Experiment(msgspec.Struct, frozen=True):
    """What came of one circuit.

    Args:
        name: what the circuit is called.
        shots: how often it was run.
        counts: how often the classical bits were found so: the last bit of a register first, and the
            last register first, as Qiskit writes them.
        memory: what each shot gave, in order, where the spec asked for that (``per_shot``).
        registers: name and size of each classical register.
        positions: the bits of each register by their number among all classical bits; empty where the
            registers hold every bit once, one after the other. Else counts are of all bits, without spaces.
        weights: what the device gave where that was no counts: the fraction of each outcome.
    """

    name: str
    shots: int
    counts: dict[str, int]
    memory: list[str] = []
    registers: list[tuple[str, int]] = []
    positions: list[list[int]] = []
    weights: dict[str, float] = {}

    @property
    def probabilities(self) -> dict[str, float]:
        """The fraction of each outcome, from 0 to 1: of the shots, or as the device computed it."""
        total = sum(self.counts.values())
        return self.weights or {bits: count / total for bits, count in self.counts.items()}


class CircuitResult(msgspec.Struct, frozen=True):
    """What came of the circuits of one job, in their order. As text it is a histogram.

    Args:
        experiments: one for each circuit.
    """

    experiments: list[Experiment]

    @classmethod
    def of(cls, experiments: Sequence[Mapping[str, Any]]) -> CircuitResult:
        """Make it of plain data."""
        return cls(msgspec.convert(list(experiments), list[Experiment]))

    @property
    def counts(self) -> dict[str, int]:
        """The counts of the only circuit.

        Raises:
            BackendError: there are several: use ``result[0].counts``.
        """
        return self._single().counts

    @property
    def memory(self) -> list[str]:
        """What each shot of the only circuit gave; raises as `counts` does."""
        return self._single().memory

    @property
    def probabilities(self) -> dict[str, float]:
        """The fraction of each outcome of the only circuit; raises as `counts` does."""
        return self._single().probabilities

    def _single(self) -> Experiment:
        if len(self.experiments) != 1:
            raise BackendError(
                f"this is the result of {len(self.experiments)} circuits: take one, as result[0]"
            )
        return self.experiments[0]

    def __len__(self) -> int:
        return len(self.experiments)

    def __getitem__(self, number: int) -> Experiment:
        return self.experiments[number]

    def __iter__(self) -> Iterator[Experiment]:
        return iter(self.experiments)

    def __str__(self) -> str:
        return "\n\n".join(render_text(each.name, each.counts, each.shots) for each in self.experiments)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, fit for JSON."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw the histograms into a file, in the format that its name says: .png, .svg, .pdf.

        Raises:
            BackendError: matplotlib is not installed, or does not know the format.
        """
        save_plot([(each.name, each.counts) for each in self.experiments], os.fspath(path))

    def to_qiskit(self) -> Result:
        """Return it as Qiskit's ``Result``, as ``backend.run(circuits).result()`` gives it."""
        from qiskit.result import Result

        found: Result = Result.from_dict(
            {
                "backend_name": "anyjob",
                "backend_version": "",
                "qobj_id": "",
                "job_id": "",
                "success": True,
                "status": "COMPLETED",
                "results": [_to_qiskit_experiment(each) for each in self.experiments],
            }
        )
        return found

    def to_primitive(self) -> PrimitiveResult[Any]:
        """Return it as Qiskit's ``PrimitiveResult``, as a sampler gives it.

        The order of the shots is kept where the spec asked for it (``per_shot``); else they are sorted. Bits
        that are in no register are together in ``loose_bits``.
        """
        from qiskit.primitives import DataBin, PrimitiveResult, SamplerPubResult

        pubs = []
        for each in self.experiments:
            bits = DataBin(shape=(), **_by_register(each))
            pubs.append(SamplerPubResult(bits, metadata={"shots": each.shots, "circuit_metadata": {}}))
        return PrimitiveResult(pubs, metadata={"version": 2})


def _hexadecimal(bits: str) -> str:
    return hex(int(bits.replace(" ", ""), 2))


def _to_qiskit_experiment(experiment: Experiment) -> dict[str, Any]:
    size = max((len(bits.replace(" ", "")) for bits in experiment.counts), default=0)
    tiled = not experiment.positions and sum(size for _, size in experiment.registers) == size
    data: dict[str, Any] = {"counts": {_hexadecimal(bits): n for bits, n in experiment.counts.items()}}
    if experiment.memory:
        data["memory"] = [_hexadecimal(bits) for bits in experiment.memory]
    header = {
        "name": experiment.name,
        "creg_sizes": [list(register) for register in experiment.registers] if tiled else [],
        "memory_slots": size,
        "metadata": {},
    }
    return {
        "shots": experiment.shots,
        "success": True,
        "status": "DONE",
        "data": data,
        "header": header,
        "meas_level": 2,
        "meas_return": "single",
    }


LOOSE_BITS = "loose_bits"
"""What the bits that are in no register are called together, in a ``PrimitiveResult``."""


def _by_register(experiment: Experiment) -> dict[str, Any]:
    """The shots of each register, as Qiskit's arrays of bits."""
    import numpy as np
    from qiskit.primitives import BitArray

    outcomes = sorted(experiment.counts)
    numbers = {bits: number for number, bits in enumerate(outcomes)}
    if experiment.memory:
        shots = np.array([numbers[bits] for bits in experiment.memory])
    else:
        shots = np.repeat(np.arange(len(outcomes)), [experiment.counts[bits] for bits in outcomes])
    table = np.array([[bit == "1" for bit in reversed(bits.replace(" ", ""))] for bits in outcomes])
    return {
        name: BitArray.from_bool_array(table[:, places][shots], order="little")
        if places
        else BitArray(np.zeros((len(shots), 0), dtype=np.uint8), 0)
        for name, places in _places(experiment, table.shape[1])
    }


def _places(experiment: Experiment, size: int) -> list[tuple[str, list[int]]]:
    """Which of so many classical bits each register has; those that are in none come last."""
    names = [name for name, _ in experiment.registers]
    if experiment.positions or sum(size for _, size in experiment.registers) != size:
        positions = experiment.positions or [[] for _ in names]
        loose = sorted(set(range(size)).difference(*positions))
        return [*zip(names, positions, strict=True), *([(LOOSE_BITS, loose)] if loose else [])]
    places = iter(range(size))
    return [(name, [next(places) for _ in range(size)]) for name, size in experiment.registers]
