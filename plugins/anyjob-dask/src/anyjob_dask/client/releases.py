"""When jobs leave the cluster: soon after their outcome is written down, or later while there is work."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from anyjob_dask.client.connection import SchedulerConnection

DELAY = 0.5
"""Seconds after which a job is released whose outcome was fetched."""
MAX_DELAY_WHILE_BUSY = 5.0
"""The same at most, while others have not ended: their turn comes first. A large result does not wait."""


class ReleaseQueue:
    """Jobs whose outcome was fetched, to be released by the scheduler once it is written down.

    Args:
        connection: to the scheduler.
        open_ids: gives the ids of jobs whose outcome is not written down.
    """

    def __init__(self, connection: SchedulerConnection, open_ids: Callable[[], Iterable[str]]) -> None:
        self._connection = connection
        self._open_ids = open_ids
        self._queue: deque[str] = deque()
        self._lock = threading.Lock()
        self._deadline = math.inf
        self._scheduled_by: int | None = None  # the generation of the connection in whose loop that is

    def add(self, job_id: str, *, may_wait: bool = False) -> None:
        """Queue a job.

        Also called where an object is collected, in whatever thread: so without a lock.

        Args:
            job_id: its id in its key.
            may_wait: whether it may wait for the end of jobs that are open.
        """
        self._queue.append(job_id)
        self._deadline = min(self._deadline, time.monotonic() + (MAX_DELAY_WHILE_BUSY if may_wait else DELAY))
        self._schedule()

    def take(self) -> list[str]:
        """Return, once, the jobs that the cluster need not keep any more."""
        open_ids = set(self._open_ids())
        with self._lock:
            queued = [self._queue.popleft() for _ in range(len(self._queue))]
        for job_id in queued:
            if job_id in open_ids:
                self.add(job_id)
        return [job_id for job_id in queued if job_id not in open_ids]

    def _schedule(self) -> None:
        generation = self._connection.generation
        if self._scheduled_by != generation:
            self._scheduled_by = generation
            self._connection.call_later(DELAY, self._release)

    async def _release(self) -> None:
        """In Dask's event loop."""
        self._scheduled_by = None
        if self._open_ids() and time.monotonic() < self._deadline:
            self._schedule()
            return
        self._deadline = math.inf
        ready = self.take()
        if ready:
            await self._connection.request_in_loop("release", job_ids=ready)
