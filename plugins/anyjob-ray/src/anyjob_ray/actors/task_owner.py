"""The task owner: a detached actor that owns the tasks of the mode ``durable``, and outlives all clients."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from anyjob_ray.actors.job_events import GATHER, JobEvents
from anyjob_ray.tasks.batch_submitter import Launch
from anyjob_ray.tasks.launch_queue import PackedJob
from anyjob_ray.tasks.task import Task
from anyjob_ray.tasks.task_manager import TaskManager

MAX_INLINE = 64 * 1024
"""Bytes of an outcome up to which it goes with the event."""
KEPT = 600.0
"""Seconds that an outcome is kept once it has been read, should its reader have died since."""


class TaskOwner(JobEvents):
    """Owns jobs, and keeps what came of them until that was read."""

    def __init__(self) -> None:
        super().__init__()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._manager = TaskManager(self._on_result, durable=True)
        self._renounced: set[str] = set()
        self._read: deque[tuple[float, str]] = deque()
        self._results: deque[tuple[str, Any]] = deque()
        self._followed: set[str] = set()
        self._wake_scheduled = False

    def _on_result(self, name: str, result: Any) -> None:
        """In a thread of Ray's."""
        self._results.append((name, result))
        if not self._wake_scheduled and self._loop is not None:
            self._wake_scheduled = True
            # Who hears of it from Ray itself is not to be held up by what all others are told.
            wake = self._take_results_soon if name in self._followed else self._take_results
            self._loop.call_soon_threadsafe(wake)

    def _take_results_soon(self) -> None:
        assert self._loop is not None
        self._loop.call_later(GATHER, self._take_results)

    def _take_results(self) -> None:
        """Take in what has ended; what ends soon after is gathered, lest each wakes this process."""
        if not self._results:
            self._wake_scheduled = False
            if not self._results:  # else one came between these two lines
                return
            self._wake_scheduled = True
        while self._results:
            name, result = self._results.popleft()
            self._followed.discard(name)
            self._add_ended(self._manager.take_result(name, result))
        self._take_results_soon()

    def _add_ended(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            inline = not task.in_object_store and len(task.outcome or b"") <= MAX_INLINE
            self._add(task.job_id, "ENDED", task.outcome if inline else None)

    # --- what workers report ----------------------------------------------------------------------

    async def job_started(self, job_id: str, location: tuple[Any, ...]) -> None:
        """A job runs."""
        if self._manager.job_started(job_id, location):
            self._add(job_id, "RUNNING", location)

    async def killing_job(self, job_id: str, reason: str) -> None:
        """A worker is about to kill itself, since its job did not end when it was interrupted."""
        self._manager.killing_job(job_id, reason)

    async def batch_progressed(self, batch_id: str, outcomes: dict[int, bytes], rest: list[int]) -> None:
        """A batch goes on with one long job; here is what came of those before, and which are left."""
        self._add_ended(self._manager.batch_progressed(batch_id, outcomes, rest))

    async def cancelled_among(self, job_ids: list[str]) -> list[str]:
        """Return those of these jobs that were cancelled."""
        return [job_id for job_id in job_ids if self._manager.is_cancelled(job_id)]

    # --- what clients ask -------------------------------------------------------------------------

    async def submit(
        self,
        jobs: list[PackedJob],
        task_options: dict[str, Any],
        walltime: float | None,
        launch: Launch | None,
        follow: bool,
    ) -> tuple[list[str], list[Any]]:
        """Take jobs, each once.

        Args:
            jobs: the jobs.
            task_options: what ``ray.remote`` is given for their tasks.
            walltime: seconds that each may run.
            launch: which launch they are of, if short ones may share a task; else each has one.
            follow: whether the client wants to hear of ends from Ray itself, which is quicker for a few.

        Returns:
            The ids of those that are now here, and, if wanted, the object ref of each.
        """
        self._loop = asyncio.get_running_loop()
        wanted = [job for job in jobs if job[0] not in self._renounced]
        if follow:
            self._followed.update(job[0] for job in wanted)
        taken = self._manager.submit(wanted, task_options, walltime, launch)
        self._forget_read()
        return taken, [self._manager.tasks[job_id].ref for job_id in taken] if follow else []

    async def states(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Return the states of jobs; those that are not known are left out."""
        known = self._manager.tasks
        return {job_id: known[job_id].state_in_words for job_id in job_ids if job_id in known}

    async def refs(self, job_ids: Sequence[str]) -> dict[str, Any]:
        """Return the object refs of jobs, for others that take their results."""
        return self._manager.refs(job_ids)

    async def outcomes(self, job_ids: Sequence[str]) -> dict[str, tuple[bytes, Any]]:
        """Return what came of jobs that have ended, with the object ref of the large parts."""
        found = {}
        for job_id in job_ids:
            task = self._manager.tasks.get(job_id)
            if task is not None and task.outcome is not None:
                found[job_id] = task.outcome, task.ref
        return found

    async def were_read(self, job_ids: Sequence[str]) -> None:
        """The outcomes of these jobs were read: they need not be kept much longer."""
        now = time.monotonic()
        self._read += [(now, job_id) for job_id in job_ids]
        self._forget_read()

    def _forget_read(self) -> None:
        while self._read and time.monotonic() - self._read[0][0] > KEPT:
            self._manager.forget([self._read.popleft()[1]])

    async def cancel(self, job_ids: Sequence[str]) -> dict[str, bool]:
        """Have jobs end; say for each whether that was accepted."""
        return self._manager.cancel(job_ids)

    async def renounce(self, job_ids: Sequence[str]) -> list[str]:
        """Take these jobs no more, should they still arrive; return the ids of those that have."""
        here = [job_id for job_id in job_ids if job_id in self._manager.tasks]
        self._renounced.update(set(job_ids) - set(here))
        return here

    async def forget(self, job_ids: Sequence[str]) -> None:
        """Know nothing of these any more; those that have not ended are cancelled."""
        self._manager.forget(job_ids)

    async def location(self, job_id: str) -> tuple[Any, ...] | None:
        """Say where a job runs and writes, or did until its worker died; None where that is not known."""
        task = self._manager.tasks.get(job_id)
        if task is None or task.location is None or not (task.is_open or task.crashed):
            return None
        return tuple(task.location)

    async def pid(self) -> int:
        """Return the id of this process."""
        import os

        return os.getpid()
