"""Submits the calls of a launch by tasks that make them in series, and knows which task makes which.

Sent along to the cluster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anyjob_ray.bulk import Bulk, Work
from anyjob_ray.nodes import slots
from anyjob_ray.replies import when_done
from anyjob_ray.series import CANCELLED
from anyjob_ray.worker import run_series

Launch = tuple[str, float]
"""What jobs that are launched together are told by, and the seconds that a series of them is to take."""
COUNTED = 10.0
"""Seconds for which it is remembered how large the cluster is."""


class Sent:
    """A task that is out, and makes calls in series.

    Args:
        series_id: ours.
        works: those calls.
        bulk: what they were taken from.
        ref: what Ray gave for the task.
    """

    def __init__(self, series_id: str, works: list[Work], bulk: Bulk, ref: Any) -> None:
        self.series_id = series_id
        self.left = dict(enumerate(works))
        self.several = len(works) > 1
        self.bulk = bulk
        self.ref = ref
        self.interrupted = False


class Sender:
    """What waits, and what is out.

    Args:
        remote: gives Ray's function for one of ours, with the options of a task.
        tell: called with the id of a series, or of a job, and what came of it.
        is_wanted: whether a job is still to run.
    """

    def __init__(
        self,
        remote: Callable[[Any, dict[str, Any]], Any],
        tell: Callable[[str, Any], None],
        is_wanted: Callable[[str], bool],
    ) -> None:
        self._remote = remote
        self._tell = tell
        self._is_wanted = is_wanted
        self._bulks: dict[Launch, Bulk] = {}
        self._sent: dict[str, Sent] = {}
        self._with: dict[str, Sent] = {}
        self._number = 0
        self._nodes: Sequence[Mapping[str, Any]] = []
        self._counted = 0.0

    def bulk(self, launch: Launch, plan: dict[str, Any]) -> Bulk:
        """Return what the calls of a launch are taken from, of which some may have come before."""
        if launch not in self._bulks:
            self._bulks = {other: bulk for other, bulk in self._bulks.items() if bulk.out or bulk.waiting}
            self._bulks[launch] = Bulk(plan, launch[1])
        return self._bulks[launch]

    def named(self, series_id: str) -> Sent | None:
        """Return a series that is out."""
        return self._sent.get(series_id)

    def of(self, job_id: str) -> Sent | None:
        """Return the series that a job is in; None: it waits, or has ended."""
        return self._with.get(job_id)

    def fill(self, bulk: Bulk) -> None:
        """Submit as many tasks as are wanted now."""
        if not bulk.waiting:
            return
        places = self._slots(bulk)
        while works := bulk.take(places, self._is_wanted):
            self._number += 1
            self._send(bulk, works, f"{works[0][0]}-{self._number}")

    def _send(self, bulk: Bulk, works: list[Work], series_id: str) -> None:
        tell = self._tell
        try:
            ref = self._remote(run_series, bulk.plan).remote(series_id, [work[:2] for work in works])
        except Exception as error:  # this process is not connected any more
            for work in works:
                tell(work[0], error)
            return
        sent = self._sent[series_id] = Sent(series_id, works, bulk, ref)
        self._with.update((work[0], sent) for work in works)
        bulk.out += 1
        when_done(ref, lambda result: tell(series_id, result))

    def _slots(self, bulk: Bulk) -> int:
        import ray

        now = time.monotonic()
        if not self._nodes or now - self._counted > COUNTED:
            self._counted = now
            with suppress(Exception):  # not connected any more
                self._nodes = ray.nodes()  # type: ignore[no-untyped-call]
        return slots(bulk.plan, self._nodes)

    def take(self, sent: Sent, numbers: Iterable[int]) -> list[tuple[int, str]]:
        """Take calls out of a series whose end is known; return the job of each."""
        return [(number, work[0]) for number, work in self._taken(sent, numbers)]

    def wait_again(self, sent: Sent, numbers: Iterable[int]) -> None:
        """These of a series have not begun: they wait once more, before the others."""
        for _, work in reversed(self._taken(sent, numbers)):
            if self._is_wanted(work[0]):
                sent.bulk.waiting.appendleft(work)
            else:
                self._tell(work[0], CANCELLED)

    def _taken(self, sent: Sent, numbers: Iterable[int]) -> list[tuple[int, Work]]:
        taken = [(number, sent.left.pop(number)) for number in numbers if number in sent.left]
        for _, work in taken:
            del self._with[work[0]]
        return taken

    def over(self, sent: Sent) -> None:
        """A task has ended, and all of its calls are accounted for: another one may follow."""
        del self._sent[sent.series_id]
        sent.bulk.out -= 1
        self.fill(sent.bulk)
