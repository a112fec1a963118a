"""Actors in the cluster: the board, which is told of jobs that run, and the keeper, which owns jobs.

They are sent along to the cluster. The board lives and ends with the process that made it; the
keeper is detached, named, and outlives all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from anyjob_ray.bulk import Work
from anyjob_ray.submission import Launch
from anyjob_ray.tasks import Task, Tasks

REMEMBERED = 20_000
"""Events that are kept for those who listen."""
GATHER = 0.01
"""Seconds that news are gathered for, where the last were told as short a time ago."""
HEARD = 2.0
"""Seconds that a client has to hear of a worker that is about to kill itself."""
INLINE = 64 * 1024
"""Bytes of what came of a job up to which it is told with the event."""
KEPT = 600.0
"""Seconds that what came of a job is kept once it has been read, should its reader have died since."""

Event = tuple[str, str, Any]


class RunningJobs:
    """Told by workers of jobs that take a while, and listened to by clients."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=REMEMBERED)
        self._told = 0
        self._news = asyncio.Event()
        self._answered = 0.0
        self._fetched = 0
        self._cancelled: deque[str] = deque(maxlen=REMEMBERED)

    def _tell(self, job_id: str, what: str, about: Any) -> None:
        self._events.append((job_id, what, about))
        self._told += 1
        self._news.set()

    async def began(self, job_id: str, place: tuple[Any, ...]) -> None:
        """A job runs."""
        self._tell(job_id, "RUNNING", place)

    async def doomed(self, job_id: str, fate: str) -> None:
        """A worker is about to kill itself, since its job did not end when asked to.

        Returns when that was heard: the client must know before it sees the worker die.
        """
        self._tell(job_id, "DOOMED", fate)
        number, deadline = self._told, time.monotonic() + HEARD
        while self._fetched < number and time.monotonic() < deadline:
            await asyncio.sleep(GATHER)

    async def part(self, series_id: str, done: dict[int, bytes], rest: list[int]) -> None:
        """A series goes on with one long call; here is what came of those before, and which are left."""
        self._tell(series_id, "PART", (done, rest))

    async def cancelling(self, job_ids: list[str]) -> None:
        """Those who make these calls are about to be interrupted, and will ask."""
        self._cancelled += job_ids

    async def cancelled(self, job_ids: list[str]) -> list[str]:
        """Say which of these were cancelled."""
        known = set(self._cancelled)
        return [job_id for job_id in job_ids if job_id in known]

    async def changes(self, since: int, seconds: float) -> tuple[int, list[Event], bool]:
        """Wait for news, and return up to where they go, what there was, and whether that is all.

        Args:
            since: what the last answer has gone up to; 0: all that I know of; -1: what is new from now on.
            seconds: how long to wait if there are none.
        """
        if not 0 <= since <= self._told:  # new here, or it is me who has been started anew
            return self._told, [], False
        if since >= self._told:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), seconds)
            except TimeoutError:
                return self._told, [], True
        if time.monotonic() - self._answered < GATHER:
            await asyncio.sleep(GATHER)
        self._answered = time.monotonic()
        wanted = self._told - since
        whole = wanted <= len(self._events)
        self._fetched = self._told
        events = [self._events[-number] for number in range(min(wanted, len(self._events)), 0, -1)]
        return self._told, events, whole

    async def ping(self) -> bool:
        """Answer."""
        return True


class Keeper(RunningJobs):
    """Owns the jobs of the mode ``durable``, and what came of them until that was read."""

    def __init__(self) -> None:
        super().__init__()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks = Tasks(self._heard)
        self._renounced: set[str] = set()
        self._read: deque[tuple[float, str]] = deque()
        self._ended: deque[tuple[str, Any]] = deque()
        self._followed: set[str] = set()
        self._awake = False

    def _heard(self, name: str, result: Any) -> None:
        """In a thread of Ray's."""
        self._ended.append((name, result))
        if not self._awake and self._loop is not None:
            self._awake = True
            # Who hears of it from Ray itself is not to be held up by what we tell all others.
            wake = self._take_in_soon if name in self._followed else self._take_in
            self._loop.call_soon_threadsafe(wake)

    def _take_in_soon(self) -> None:
        assert self._loop is not None
        self._loop.call_later(GATHER, self._take_in)

    def _take_in(self) -> None:
        """Take in what has ended; what ends soon after is gathered, lest each wakes this process."""
        if not self._ended:
            self._awake = False
            if not self._ended:  # else one came between these two lines
                return
            self._awake = True
        while self._ended:
            name, result = self._ended.popleft()
            self._followed.discard(name)
            self._tell_ended(self._tasks.ended(name, result))
        self._take_in_soon()

    def _tell_ended(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            short = not task.large and len(task.said or b"") <= INLINE
            self._tell(task.job_id, "ENDED", task.said if short else None)

    async def part(self, series_id: str, done: dict[int, bytes], rest: list[int]) -> None:
        """A series goes on with one long call; here is what came of those before, and which are left."""
        self._tell_ended(self._tasks.part(series_id, done, rest))

    async def cancelled(self, job_ids: list[str]) -> list[str]:
        """Say which of these were cancelled."""
        return [job_id for job_id in job_ids if self._tasks.is_cancelled(job_id)]

    async def submit(
        self,
        works: list[Work],
        plan: dict[str, Any],
        walltime: float | None,
        launch: Launch | None,
        follow: bool,
    ) -> tuple[list[str], list[Any]]:
        """Take jobs, each once.

        Args:
            works: the jobs.
            plan: the options of their tasks.
            walltime: seconds that each may run.
            launch: what they were launched with, if short ones may share a task; else each is one.
            follow: whether the client wants to hear of ends from Ray itself, which is quicker for a few.

        Returns:
            The ids of those that are now here, and, if wanted, what stands for what comes of each.
        """
        self._loop = asyncio.get_running_loop()
        wanted = [work for work in works if work[0] not in self._renounced]
        if follow:
            self._followed.update(work[0] for work in wanted)
        taken = self._tasks.submit(wanted, plan, walltime, launch)
        self._tidy()
        return taken, [self._tasks.known[job_id].ref for job_id in taken] if follow else []

    async def began(self, job_id: str, place: tuple[Any, ...]) -> None:
        """A job runs."""
        if self._tasks.began(job_id, place):
            self._tell(job_id, "RUNNING", place)

    async def doomed(self, job_id: str, fate: str) -> None:
        """A worker is about to kill itself, since its job did not end when asked to."""
        self._tasks.doomed(job_id, fate)

    async def states(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Say where jobs are; those that are not known are left out."""
        known = self._tasks.known
        return {job_id: known[job_id].state for job_id in job_ids if job_id in known}

    async def collect(self, job_ids: Sequence[str]) -> dict[str, tuple[bytes, Any]]:
        """Return what came of jobs that have ended, with where the large parts lie."""
        found = {}
        for job_id in job_ids:
            task = self._tasks.known.get(job_id)
            if task is not None and task.said is not None:
                found[job_id] = task.said, task.ref
        return found

    async def was_read(self, job_ids: Sequence[str]) -> None:
        """What came of these was read: it need not be kept much longer."""
        now = time.monotonic()
        self._read += [(now, job_id) for job_id in job_ids]
        self._tidy()

    def _tidy(self) -> None:
        while self._read and time.monotonic() - self._read[0][0] > KEPT:
            self._tasks.forget([self._read.popleft()[1]])

    async def cancel(self, job_ids: Sequence[str]) -> dict[str, bool]:
        """Have jobs end; say for each whether that was accepted."""
        return self._tasks.cancel(job_ids)

    async def renounce(self, job_ids: Sequence[str]) -> list[str]:
        """Take these jobs no more, should they still arrive; return the ids of those that have."""
        here = [job_id for job_id in job_ids if job_id in self._tasks.known]
        self._renounced.update(set(job_ids) - set(here))
        return here

    async def forget(self, job_ids: Sequence[str]) -> None:
        """Know nothing of these any more; those that have not ended are cancelled."""
        self._tasks.forget(job_ids)

    async def place(self, job_id: str) -> tuple[Any, ...] | None:
        """Say where a job runs and writes, or did until its worker died; None where that is not known."""
        task = self._tasks.known.get(job_id)
        return task.place if task is not None and (task.said is None or task.crashed) else None

    async def pid(self) -> int:
        """Return the id of this process."""
        import os

        return os.getpid()
