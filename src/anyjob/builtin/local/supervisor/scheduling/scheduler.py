"""Decides what runs next: the queues of this host's `local` backends, and what the keeper has of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.jobs.bulks import Bulks
from anyjob.builtin.local.supervisor.jobs.capacity import Capacity
from anyjob.builtin.local.supervisor.jobs.scheduled_job import ScheduledJob
from anyjob.builtin.local.supervisor.scheduling.queue import Queue
from anyjob.ledger.rows import Row
from anyjob.ledger.store import Ledger


class Scheduler:
    """The queues, each made when there is something to do in it.

    Args:
        ledger: where what waits is read from.
        paths: where spools are.
        bulks: what the jobs of a bulk share.
        write: writes to the ledger what has happened; called before it is read.
    """

    def __init__(self, ledger: Ledger, paths: RuntimePaths, bulks: Bulks, write: Callable[[], None]) -> None:
        self._ledger = ledger
        self._paths = paths
        self._bulks = bulks
        self._write = write
        self._shared = Capacity()
        self._queues: dict[int, Queue] = {}
        self._held: dict[str, Queue] = {}
        self._short: dict[int, None] = {}  # the queues that lack something that all have together
        self._running: dict[str, Queue] = {}

    def queue(self, number: int) -> Queue:
        """Return the queue of a backend.

        Raises:
            StateError: it is that of another host.
        """
        queue = self._queues.get(number)
        if queue is None:
            queue = Queue(
                self._ledger, self._paths, self._bulks, number, self._shared, self._depth_below, self._write
            )
            self._queues[number] = queue
            self._share(queue)
        return queue

    def rescan(self, number: int) -> None:
        """There are new jobs of a backend."""
        queue = self.queue(number)
        queue.rescan()
        self._share(queue)

    def _share(self, queue: Queue) -> None:
        """What the backend says that was last used is how much all of them have together."""
        if queue.shared_limits:
            self._shared.limits = queue.shared_limits

    def _depth_below(self, parent: str) -> int:
        """Return the depth of the jobs that a job has submitted; 0 where it does not run any more."""
        running = self.running(parent)
        return 0 if running is None else running[0].depth + 1

    def is_here(self, number: int) -> bool:
        """Tell whether a backend is of this host."""
        return number in self._queues or self._ledger.backend_row(number).host == self._paths.host

    def drop(self, job_ids: Container[str]) -> None:
        """Jobs that wait were cancelled."""
        for queue in self._queues.values():
            queue.drop(job_ids)

    def rescan_all(self) -> None:
        """There may be new jobs, of any backend."""
        for number in self._ledger.queue.backends_with_waiting(self._paths.host):
            self.queue(number).rescan()

    def released_all(self) -> None:
        """Jobs may start that have been in the ledger for long, of any backend."""
        self.rescan_all()
        for queue in self._queues.values():
            queue.released()

    def reread_all(self) -> None:
        """What waits may be another by now, or in another order, of any backend."""
        for queue in self._queues.values():
            queue.reread()
        self.rescan_all()

    @property
    def has_waiting(self) -> bool:
        """Whether something waits, or may."""
        return any(queue.has_waiting for queue in self._queues.values())

    @property
    def has_running(self) -> bool:
        """Whether the keeper has jobs."""
        return bool(self._running)

    @property
    def hindrance(self) -> str:
        """Why some jobs do not start, while others go on; empty where there are none."""
        return next((queue.hindrance for queue in self._queues.values() if queue.hindrance), "")

    @property
    def pause(self) -> float:
        """Seconds until there is something to do in any case."""
        return min((queue.pause for queue in self._queues.values()), default=math.inf)

    def prepare(self, count: int) -> None:
        """Have so many orders of each queue at hand."""
        for queue in self._queues.values():
            queue.prepare(count)

    def take(self) -> Iterator[tuple[ScheduledJob, Any]]:
        """Yield the jobs that the keeper is to have now, each with its order, or what is wrong with it.

        Of what all queues have together, those get some first that have waited for it, and longest since they
        had some; what these wait for is kept for them.
        """
        self._shared.reserved = ()
        for number in [*self._short, *(each for each in self._queues if each not in self._short)]:
            queue = self._queues[number]
            for job, order in queue.take():
                if not isinstance(order, Exception):
                    self._running[job.job_id] = queue
                    self._short.pop(number, None)
                yield job, order
            if self._shared.limits and (lacking := queue.lacks_shared()):
                self._short.setdefault(number)
                self._shared.reserved = {*self._shared.reserved, *lacking}
            else:
                self._short.pop(number, None)

    def running(self, job_id: str) -> tuple[ScheduledJob, Queue] | None:
        """Return a job that the keeper has, and its queue; None where it has no such job."""
        queue = self._running.get(job_id)
        return None if queue is None else (queue.running[job_id], queue)

    def ended(self, job_id: str) -> ScheduledJob:
        """A job that the keeper had has ended, and gives its slots back."""
        queue = self._running.pop(job_id)
        job = queue.ended(job_id)
        if job.devices:
            self._held[job_id] = queue
        return job

    def freed(self, job_id: str) -> None:
        """Nothing is left of a job that has ended: its GPUs are free."""
        queue = self._held.pop(job_id, None)
        if queue is not None:
            queue.freed(job_id)

    def hold(self, row: Row, devices: Sequence[str]) -> None:
        """Something may be left of a job that has ended: its GPUs are not free yet."""
        queue = self._held[row.job_id] = self.queue(row.backend)
        queue.hold(row, devices)

    def lend(self, job_id: str, attempt: int) -> bool:
        """Let others have the slots of a job that waits for them; return whether it runs."""
        running = self.running(job_id)
        if running is None or running[0].attempt != attempt:
            return False
        running[1].lend(job_id)
        return True

    def take_back(self, job_id: str, attempt: int) -> bool:
        """A job goes on; return whether it runs."""
        running = self.running(job_id)
        if running is None or running[0].attempt != attempt:
            return False
        running[1].take_back(job_id)
        return True

    def adopt(self, row: Row, devices: Sequence[str]) -> None:
        """Take in a job that the keeper has already, with the GPUs that it has."""
        queue = self._running[row.job_id] = self.queue(row.backend)
        queue.adopt(row, devices)

    def forget_running(self) -> None:
        """Nothing is known of what runs: the keeper is gone."""
        self._running.clear()
        self._held.clear()
        for queue in self._queues.values():
            queue.forget_running()
