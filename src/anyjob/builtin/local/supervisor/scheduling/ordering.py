"""In which order jobs that wait have their turns. Pure: nothing is read here, and nothing starts.

Jobs that may take each other's place, since they are of one name and one priority, make a *lane*; within it
they are first in, first out. Here it is decided which lane is next.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Lane(NamedTuple):
    """Which jobs wait in one line.

    Args:
        priority: the higher, the sooner.
        depth: 0; 1 for what a job has submitted that runs still; 2 for what one of these has; and so on.
        name: what the jobs are called, where names take turns.
        limited: what limits their number: see `concurrency_limits`.
    """

    priority: int
    depth: int
    name: str
    limited: tuple[str, ...] = ()


class FairOrder:
    """Whose turn it is, of the lanes that have jobs.

    The highest priority comes first. Within it lanes take turns: so the one job of a lane starts after at
    most as many others as there are lanes, however many wait in these.
    """

    def __init__(self) -> None:
        self._by_priority: dict[int, OrderedDict[Lane, None]] = {}
        self._nested: dict[Lane, None] = {}
        self._before: dict[Lane, int] = {}

    def __bool__(self) -> bool:
        return bool(self._by_priority)

    def __contains__(self, lane: Lane) -> bool:
        return lane in self._by_priority.get(lane.priority, ())

    def add(self, lane: Lane, *, first: bool = False) -> None:
        """A lane has jobs: it is the last of its priority, or the ``first``, where a turn is taken back."""
        self._by_priority.setdefault(lane.priority, OrderedDict()).setdefault(lane)
        if first:
            self._by_priority[lane.priority].move_to_end(lane, last=False)
        if lane.depth:
            self._nested[lane] = None

    def remove(self, lane: Lane) -> None:
        """A lane has no jobs any more."""
        lanes = self._by_priority[lane.priority]
        del lanes[lane]
        if not lanes:
            del self._by_priority[lane.priority]
        self._nested.pop(lane, None)

    def begin_anew(self) -> None:
        """No lane is known to have jobs; they are added once more, and have their turns as before."""
        lanes = [lane for of_priority in self._by_priority.values() for lane in of_priority]
        self._before = {lane: place for place, lane in enumerate(lanes)}
        self._by_priority.clear()
        self._nested.clear()

    def restore(self) -> None:
        """All have been added once more: those that there were have their turns as before."""
        for priority, lanes in self._by_priority.items():
            order = sorted(lanes, key=lambda lane: self._before.get(lane, len(self._before)))
            self._by_priority[priority] = OrderedDict.fromkeys(order)
        self._before = {}

    def next(
        self, *, nested_first: bool = False, allows: Callable[[Lane], bool] | None = None
    ) -> Lane | None:
        """Return the lane whose turn it is; None where none has jobs that may start.

        Args:
            nested_first: jobs of jobs come before all others, the deepest first: somebody who has given his
                place away waits for them, and whoever else began there might do the same.
            allows: tells whether one more of a lane may start; None: of each.
        """
        if nested_first and self._nested:
            nested = self._nested if allows is None else list(filter(allows, self._nested))
            if nested:
                return max(nested, key=lambda lane: (lane.depth, lane.priority))
        if allows is None:
            return next(iter(self._by_priority[max(self._by_priority)])) if self._by_priority else None
        return next(
            (
                lane
                for priority in sorted(self._by_priority, reverse=True)
                for lane in self._by_priority[priority]
                if allows(lane)
            ),
            None,
        )

    def served(self, lane: Lane) -> None:
        """A job of a lane starts: it is the others' turn."""
        self._by_priority[lane.priority].move_to_end(lane)


def in_order(waiting: Iterable[tuple[str, Lane]]) -> Iterator[str]:
    """Yield jobs as they have their turns, where all that wait are known."""
    lanes: dict[Lane, deque[str]] = {}
    turns = FairOrder()
    for job_id, lane in waiting:
        lanes.setdefault(lane, deque()).append(job_id)
        turns.add(lane)
    while (lane_next := turns.next()) is not None:
        yield lanes[lane_next].popleft()
        turns.served(lane_next)
        if not lanes[lane_next]:
            turns.remove(lane_next)
