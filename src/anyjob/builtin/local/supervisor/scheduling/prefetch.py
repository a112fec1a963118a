"""How many jobs the keeper has beside those that there are slots for: it starts them without asking."""

from __future__ import annotations

import time
from collections import deque

from anyjob.builtin.local.ipc.protocol import SOON

LEAST = 8
"""Jobs, at most, that it has where jobs take long."""
MOST = 256
"""Jobs, at most, that it has where they end faster than the supervisor comes to them."""
WINDOW = 2 * SOON
"""Seconds from which the supervisor has not heard yet what has ended, or has not come to it: those that end
within such a time are to have successors there."""


class Prefetch:
    """Counts what has ended lately: what is short is sent in greater numbers, what is long as late as may be.

    Args:
        slots: of the queue.
    """

    def __init__(self, slots: int) -> None:
        self._least = min(slots, LEAST)
        self._ends: deque[float] = deque(maxlen=MOST)

    def job_ended(self) -> None:
        """A job has ended."""
        self._ends.append(time.monotonic())

    @property
    def count(self) -> int:
        """How many jobs the keeper is to have beside those that there are slots for."""
        before = time.monotonic() - WINDOW
        while self._ends and self._ends[0] < before:
            self._ends.popleft()
        return max(self._least, len(self._ends))
