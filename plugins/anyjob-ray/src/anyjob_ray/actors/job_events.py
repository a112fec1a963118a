"""The event actor: workers report jobs that take a while to it, and clients poll it.

It lives and ends with the process that made it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from typing import Any

KEPT_EVENTS = 20_000
"""Events that are kept for those who poll."""
KEPT_CANCELS = 20_000
"""Jobs that are remembered which were cancelled: the latest."""
GATHER = 0.01
"""Seconds that events are gathered for, where the last were given as short a time ago."""
KILL_HEARD = 2.0
"""Seconds that a client has to hear of a worker that is about to kill itself."""

Event = tuple[str, str, Any]
"""The id of a job or a batch, what has happened, and more about it."""


class JobEvents:
    """Keeps events, each of which has a number, and the cancels that workers of batches ask for."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._last_number = 0
        self._added = asyncio.Event()
        self._last_answer = 0.0
        self._fetched = 0
        self._cancelled: OrderedDict[str, None] = OrderedDict()

    def _add(self, name: str, what: str, about: Any) -> None:
        self._events.append((name, what, about))
        self._last_number += 1
        self._added.set()

    async def job_started(self, job_id: str, location: tuple[Any, ...]) -> None:
        """A job runs.

        Args:
            job_id: ours.
            location: the fields of an `anyjob_ray.worker.reports.output.Location`.
        """
        self._add(job_id, "RUNNING", location)

    async def killing_job(self, job_id: str, reason: str) -> None:
        """A worker is about to kill itself, since its job did not end when it was interrupted.

        Returns when that was heard: the client must know before it sees the worker die.
        """
        self._add(job_id, "KILLING", reason)
        number, deadline = self._last_number, time.monotonic() + KILL_HEARD
        while self._fetched < number and time.monotonic() < deadline:
            await asyncio.sleep(GATHER)

    async def batch_progressed(self, batch_id: str, outcomes: dict[int, bytes], rest: list[int]) -> None:
        """A batch goes on with one long job; here is what came of those before, and which are left."""
        self._add(batch_id, "BATCH", (outcomes, rest))

    async def announce_cancels(self, job_ids: list[str]) -> None:
        """The workers of these jobs are about to be interrupted, and will ask."""
        self._cancelled.update(dict.fromkeys(job_ids))
        while len(self._cancelled) > KEPT_CANCELS:
            self._cancelled.popitem(last=False)

    async def cancelled_among(self, job_ids: list[str]) -> list[str]:
        """Return those of these jobs that were cancelled."""
        return [job_id for job_id in job_ids if job_id in self._cancelled]

    async def poll(self, since: int, timeout: float) -> tuple[int, list[Event], bool]:
        """Wait for events.

        Args:
            since: the number that the last answer gave; 0: all that are kept; -1: what is new from now on.
            timeout: seconds to wait if there are none.

        Returns:
            The number of the last event, those since, and whether these are all that there were.
        """
        if not 0 <= since <= self._last_number:  # new here, or it is this actor that was started anew
            return self._last_number, [], False
        if since >= self._last_number:
            self._added.clear()
            try:
                await asyncio.wait_for(self._added.wait(), timeout)
            except TimeoutError:
                return self._last_number, [], True
        if time.monotonic() - self._last_answer < GATHER:
            await asyncio.sleep(GATHER)
        self._last_answer = time.monotonic()
        wanted = self._last_number - since
        kept = min(wanted, len(self._events))
        self._fetched = self._last_number
        events = [self._events[-number] for number in range(kept, 0, -1)]
        return self._last_number, events, kept == wanted

    async def ping(self) -> bool:
        """Answer."""
        return True
