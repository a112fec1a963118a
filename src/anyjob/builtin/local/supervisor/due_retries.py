"""Jobs of this host that go again: each begins its next attempt when that is due."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Iterable

from anyjob.builtin.local.supervisor.scheduling.scheduler import Scheduler
from anyjob.execution.next_attempt import still_to_wait
from anyjob.ledger.end_effects import NextAttempt
from anyjob.ledger.store import Ledger
from anyjob.status import JobStatus


class DueRetries:
    """What is to begin, and when: by a clock that nobody sets, since what the ledger says was read.

    Args:
        ledger: where that stands; it says which of them wait still.
        scheduler: hears of those that may start.
        host: this host.
    """

    def __init__(self, ledger: Ledger, scheduler: Scheduler, host: str) -> None:
        self._ledger = ledger
        self._scheduler = scheduler
        self._host = host
        self._due: list[tuple[float, str]] = []

    def __bool__(self) -> bool:
        return bool(self._due)

    @property
    def pause(self) -> float:
        """Seconds until the next is due."""
        return max(0.0, self._due[0][0] - time.monotonic()) if self._due else math.inf

    def read(self) -> None:
        """Take what the ledger says: another supervisor may have written it.

        Raises:
            StateError: it cannot be read.
        """
        now, clock = time.monotonic(), time.time()
        known = {job_id: due for due, job_id in self._due}
        found = self._ledger.attempts.due_attempts(self._ledger.attempts.backends_with_due(self._host))
        self._due = [
            (known.get(each.job_id, now + still_to_wait(each.due, each.wait, clock)), each.job_id)
            for each in found
        ]
        heapq.heapify(self._due)

    def add(self, again: Iterable[NextAttempt]) -> None:
        """Jobs go again, as has been written."""
        now = time.monotonic()
        for each in again:
            if each.wait:
                heapq.heappush(self._due, (now + each.wait, each.job_id))

    def begin(self) -> list[str]:
        """Have those begin that are due; return them.

        Raises:
            StateError: it cannot be written: they are tried again.
        """
        now = time.monotonic()
        if not self._due or self._due[0][0] > now:
            return []
        begun = self._ledger.begin_attempts(
            [job_id for due, job_id in self._due if due <= now], JobStatus.QUEUED
        )
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)
        for backend in {backend for _, backend in begun}:
            self._scheduler.queue(backend).released()
        return [job_id for job_id, _ in begun]
