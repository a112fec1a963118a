"""Which orders go with which request: as many as fit, and what is large goes before them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from anyjob.remote.messages import BULK, BULK_SIZE, RemoteOrder
from anyjob.remote.packing import Bodies, size_of

HELD = 64 << 20
"""Bytes in memory that go before a request, from which the next order goes with another one."""


class Bulk(NamedTuple):
    """What one request hands over: orders, and what goes before them."""

    orders: list[RemoteOrder]
    large: Bodies


def gathered(packed: Iterable[tuple[RemoteOrder, Bodies]]) -> Iterator[Bulk]:
    """Put together what fits into a request."""
    bulk, size, held = Bulk([], {}), 0, 0
    for order, large in packed:
        own = size_of(order)
        if bulk.orders and (size + own > BULK_SIZE or held > HELD):
            yield bulk
            bulk, size, held = Bulk([], {}), 0, 0
        bulk.orders.append(order)
        size += own
        if large:
            new = {sha256: body for sha256, body in large.items() if sha256 not in bulk.large}
            held += sum(len(body) for body in new.values() if isinstance(body, bytes))
            bulk.large.update(new)
        if len(bulk.orders) == BULK:  # it goes before the next order is asked for, which may take its time
            yield bulk
            bulk, size, held = Bulk([], {}), 0, 0
    if bulk.orders:
        yield bulk
