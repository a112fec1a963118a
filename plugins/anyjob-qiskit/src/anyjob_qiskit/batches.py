"""Which jobs go to a device together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from anyjob import Order
from anyjob_qiskit.spec import Circuit


class Part(NamedTuple):
    """One job with its circuits, not bound yet."""

    order: Order
    spec: Circuit
    circuits: Sequence[Any]


class Batch(NamedTuple):
    """Jobs that a device is given as one."""

    parts: list[Part]

    @property
    def spec(self) -> Circuit:
        """What is asked of the circuits, save parameters: it is the same for all of them."""
        return self.parts[0].spec

    def spans(self) -> Iterator[tuple[Part, str]]:
        """Yield each job, and which of the circuits are its own, as ``[start:stop]``."""
        start = 0
        for part in self.parts:
            stop = start + len(part.circuits)
            yield part, f"[{start}:{stop}]"
            start = stop


def batched(parts: Sequence[Part], most: int) -> Iterator[Batch]:
    """Put together neighbours of which the same is asked, up to so many circuits.

    A job with a seed goes alone: a simulator takes another seed for each further circuit, and the result
    is not to depend on what else was handed over.
    """
    batch: list[Part] = []
    size = 0
    for part in parts:
        together = batch and _alike(batch[-1].spec, part.spec) and size + len(part.circuits) <= most
        if batch and not together:
            yield Batch(batch)
            batch, size = [], 0
        batch.append(part)
        size += len(part.circuits)
    if batch:
        yield Batch(batch)


def _alike(one: Circuit, other: Circuit) -> bool:
    return one.seed is None and _asked(one) == _asked(other)


def _asked(spec: Circuit) -> tuple[Any, ...]:
    return spec.shots, spec.seed, spec.per_shot, spec.level
