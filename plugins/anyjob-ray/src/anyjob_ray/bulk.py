"""The calls of one launch that wait for their turn, and how many of them one task makes.

A task of Ray's costs a millisecond or so of several processes, however short the call. So calls that turn
out to be short are made by one task in series; and no more tasks are submitted than keep the cluster busy,
so that what is learnt of the first serves the others. Sent along to the cluster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from anyjob_ray.series import Lead

Work = tuple[str, bytes, Sequence[Any]]
MOST = 64
"""Calls of a series, at most."""
BYTES = 64 * 1024
"""Bytes of the calls of a series, at most: what is larger Ray sends by its object store."""
GROWTH = 4
AHEAD = 2
"""Tasks that are out for each that can run: one runs, one is there when that has ended."""


class Bulk:
    """The calls of one launch.

    Args:
        plan: the options of their tasks.
        aim: seconds that a series is to take.
    """

    def __init__(self, plan: dict[str, Any], aim: float) -> None:
        self.plan = plan
        self._aim = aim
        self.waiting: deque[Work] = deque()
        self.out = 0
        self._size = 1
        self._most = MOST

    def take(self, slots: int, is_wanted: Callable[[str], bool]) -> list[Work]:
        """Take those out that the next task makes; none, where enough are out.

        Args:
            slots: how many tasks can run at a time.
            is_wanted: whether a job is still to run.
        """
        taken: list[Work] = []
        if self.out >= AHEAD * slots + AHEAD:
            return taken
        # The last are shared out, so that all of the cluster ends at about the same time.
        size, weight = min(self._size, -(-len(self.waiting) // (AHEAD * slots))), 0
        while self.waiting and len(taken) < size:
            work = self.waiting.popleft()
            if not is_wanted(work[0]):
                continue
            weight += len(work[1])
            if taken and weight > BYTES:
                self.waiting.appendleft(work)
                break
            taken.append(work)
        return taken

    def learn(self, lead: Lead) -> None:
        """See how long calls take."""
        made = len(lead.done) + (lead.large is not None)
        if not lead.sound or lead.large is not None:
            self._most = 1  # what is large goes by the object store, one at a time
        if made:
            fitting = int(self._aim * made / max(lead.seconds, 1e-6))
            self._size = max(1, min(fitting, GROWTH * self._size, self._most))

    def distrust(self) -> None:
        """A worker has died: let them go one by one, and begin to learn anew."""
        self._size = 1
