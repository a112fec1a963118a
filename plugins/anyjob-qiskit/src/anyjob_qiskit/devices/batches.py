"""Which jobs go to a device together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from anyjob import Order
from anyjob_qiskit.circuits.spec import Circuit


class BatchItem(NamedTuple):
    """One job with its circuits, ready for the device."""

    order: Order
    spec: Circuit
    circuits: Sequence[Any]


class Batch(NamedTuple):
    """Jobs that a device is given as one."""

    items: list[BatchItem]

    @property
    def spec(self) -> Circuit:
        """What is asked of the circuits, save parameters: it is the same for all of them."""
        return self.items[0].spec

    def spans(self) -> Iterator[tuple[BatchItem, str]]:
        """Yield each job, and which of the circuits are its own, as ``[start:stop]``."""
        start = 0
        for item in self.items:
            stop = start + len(item.circuits)
            yield item, f"[{start}:{stop}]"
            start = stop


def batched(items: Sequence[BatchItem], max_circuits: int, seed: int | None = None) -> Iterator[Batch]:
    """Put neighbours that run with the same options into one batch, up to so many circuits.

    A job with a seed goes alone: a simulator takes another seed for each further circuit, and the result
    is not to depend on what else was handed over.

    Args:
        items: the jobs.
        max_circuits: how many circuits the device takes at a time.
        seed: that of jobs which have none of their own.
    """
    batch: list[BatchItem] = []
    size = 0
    for item in items:
        fits = size + len(item.circuits) <= max_circuits
        if batch and not (fits and _share_options(batch[-1], item, seed)):
            yield Batch(batch)
            batch, size = [], 0
        batch.append(item)
        size += len(item.circuits)
    if batch:
        yield Batch(batch)


def _share_options(one: BatchItem, other: BatchItem, seed: int | None) -> bool:
    told_alike = one.order.options is other.order.options  # as those of one run_many are
    has_seed = one.spec.seed is not None or seed is not None
    return told_alike and not has_seed and _run_options(one.spec) == _run_options(other.spec)


def _run_options(spec: Circuit) -> tuple[Any, ...]:
    return spec.shots, spec.seed, spec.per_shot, spec.level
