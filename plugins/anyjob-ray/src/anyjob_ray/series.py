"""Calls that one task makes one after the other, in its worker. Sent along to the cluster.

What has not begun can be taken back from it: by the thread that watches over the worker, where a call
turns out to take long, and by the owner of the job, who cancels it.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from anyjob_ray.journal import Journal

CANCELLED = pickle.dumps({"status": "CANCELLED"}, 5)
"""What comes of a job that has not begun, and will not."""


class Lead(NamedTuple):
    """What a task tells of its series.

    Args:
        done: what came of the calls, by their numbers.
        rest: the numbers of those that were not made.
        large: the number of the one whose value lies beside this; it is the last.
        seconds: how long all of it has taken.
        sound: whether the journal could be written: without it, no series is made.
    """

    done: dict[int, bytes]
    rest: list[int]
    large: int | None
    seconds: float
    sound: bool


class Series:
    """The calls of one task.

    Args:
        series_id: ours.
        works: the id of the job of each, and what `anyjob_ray.worker.Job` is made of.
        journal: where it is written down; None: it is of one call, of which it is clear that it has begun.
    """

    def __init__(
        self, series_id: str, works: Sequence[tuple[str, bytes]], journal: Journal | None = None
    ) -> None:
        self.works = works
        self.cancelled: set[str] = set()
        self.asked = False
        """Whether Ray has interrupted us: somebody has cancelled a job, and which one is to be found out."""
        self.done: dict[int, bytes] = {}
        self._next, self._end = 0, len(works)
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._journal = journal
        self._sound = True
        self._given = False
        self.series_id = series_id

    def take(self) -> int | None:
        """Return the number of the next call, which begins now; None: there is none."""
        with self._lock:
            while self._next < self._end:
                number = self._next
                if self.works[number][0] in self.cancelled:
                    self.done[number] = CANCELLED
                elif self._journal is not None and not self._journal.begin(number):
                    self._sound = False
                    return None
                else:
                    self._next += 1
                    return number
                self._next += 1
            return None

    def ended(self, number: int, said: bytes) -> None:
        """Take in what came of a call."""
        if self._journal is not None:
            self._journal.end(number, said)
        self.done[number] = said

    def give_back(self) -> tuple[dict[int, bytes], list[int]] | None:
        """Make no call after this one; return what came of those before it, and which are left.

        None where that is nothing, or known already.
        """
        with self._lock:
            rest = list(range(self._next, self._end))
            self._end = self._next
        given, self._given = self._given, True
        return None if given or not (rest or self.done) else (dict(self.done), rest)

    def lead(self, large: int | None = None) -> bytes:
        """Say what came of it."""
        if self._journal is not None:
            self._journal.close()
        rest = [number for number in range(len(self.works)) if number not in self.done and number != large]
        seconds = time.monotonic() - self._start
        return pickle.dumps(tuple(Lead(self.done, rest, large, seconds, self._sound)), 5)


def read_lead(blob: bytes) -> Lead:
    """Read what a task has told of its series."""
    return Lead(*pickle.loads(blob))
