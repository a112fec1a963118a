"""Arrays of jobs: into which orders are cut, and how large a scheduler takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anyjob.batch.dialect import Dialect
from anyjob.batch.programs import Programs
from anyjob.orders import Order


def pack_of(orders: Sequence[Order]) -> int:
    """Return how many of these jobs one allocation runs."""
    return int(orders[0].options.pack) if orders else 1


def tasks_of(orders: Sequence[Any], pack: int) -> int | None:
    """Return how many tasks run these, so many jobs each; None where they are no array."""
    tasks = -(-len(orders) // pack)
    return tasks if tasks > 1 else None


class JobArrays:
    """Cuts orders into arrays of jobs, as large as the scheduler takes them.

    Args:
        words: the scheduler's.
        programs: by which it is asked for its limit, before the first orders that may be above that.
    """

    def __init__(self, words: Dialect, programs: Programs) -> None:
        self._words, self._programs = words, programs
        self._limit = words.array_limit or 1
        self._asked = words.array_limit is None or words.limit() is None

    def next(self, orders: Sequence[Order]) -> int:
        """Return how many of these orders are handed over at once.

        Raises:
            BackendError: the scheduler cannot be asked for its limit.
        """
        pack = pack_of(orders)
        if not self._words.arrays(orders[0].options):
            return pack
        if len(orders) > self._limit * pack and not self._asked:
            self._ask()
        return self._limit * pack

    def too_large(self, orders: Sequence[Order]) -> None:
        """Take note that these were too many for one array.

        Raises:
            BackendError: the scheduler cannot be asked for its limit.
        """
        self._limit = max(1, min(self._limit, tasks_of(orders, pack_of(orders)) or 1) // 2)
        if not self._asked:
            self._ask()

    def _ask(self) -> None:
        """Have the scheduler say how many tasks an array may have."""
        command = self._words.limit()
        assert command is not None
        self._limit = max(1, self._words.read_limit(self._programs.query(command)) or self._limit)
        self._asked = True
