"""Submits the jobs of launches in batches, and knows which submitted task runs which."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anyjob_ray.tasks.launch_queue import LaunchQueue, PackedJob
from anyjob_ray.tasks.nodes import task_slots
from anyjob_ray.tasks.object_refs import add_done_callback
from anyjob_ray.worker.batch import CANCELLED
from anyjob_ray.worker.remote_functions import run_batch

Launch = tuple[str, float]
"""The id of a launch, and the seconds that a batch of its jobs is to take."""
NODES_VALID = 10.0
"""Seconds for which it is remembered which nodes there are."""


class SubmittedBatch:
    """A task that is submitted, and the jobs that it runs.

    Args:
        batch_id: ours.
        jobs: those jobs.
        queue: what they were taken from.
        ref: the object ref of the task.
    """

    def __init__(self, batch_id: str, jobs: list[PackedJob], queue: LaunchQueue, ref: Any) -> None:
        self.batch_id = batch_id
        self.open_jobs = dict(enumerate(jobs))
        """Those of which it is not known how they end, by their indices."""
        self.has_several = len(jobs) > 1
        self.queue = queue
        self.ref = ref
        self.interrupted = False


class BatchSubmitter:
    """The queues, and the batches that are submitted.

    Args:
        remote_function: gives Ray's function for one of ours, with the options of a task.
        on_result: called with the id of a batch, or of a job, and what came of it.
        is_wanted: whether a job is still to run.
    """

    def __init__(
        self,
        remote_function: Callable[[Any, dict[str, Any]], Any],
        on_result: Callable[[str, Any], None],
        is_wanted: Callable[[str], bool],
    ) -> None:
        self._remote_function = remote_function
        self._on_result = on_result
        self._is_wanted = is_wanted
        self._queues: dict[Launch, LaunchQueue] = {}
        self._submitted: dict[str, SubmittedBatch] = {}
        self._batch_by_job: dict[str, SubmittedBatch] = {}
        self._last_number = 0
        self._nodes: Sequence[Mapping[str, Any]] = []
        self._nodes_asked = 0.0

    def queue_of(self, launch: Launch, task_options: dict[str, Any]) -> LaunchQueue:
        """Return the queue of a launch, some of whose jobs may have come before."""
        if launch not in self._queues:
            self._queues = {
                other: queue
                for other, queue in self._queues.items()
                if queue.submitted_tasks or queue.pending
            }
            self._queues[launch] = LaunchQueue(task_options, launch[1])
        return self._queues[launch]

    def batch(self, batch_id: str) -> SubmittedBatch | None:
        """Return a batch whose task has not ended."""
        return self._submitted.get(batch_id)

    def batch_of(self, job_id: str) -> SubmittedBatch | None:
        """Return the batch that a job is in; None: it is in a queue, or has ended."""
        return self._batch_by_job.get(job_id)

    def submit_pending(self, queue: LaunchQueue) -> None:
        """Submit as many tasks as are wanted now."""
        if not queue.pending:
            return
        slots = self._slots(queue)
        while jobs := queue.next_batch(slots, self._is_wanted):
            self._last_number += 1
            self._submit(queue, jobs, f"{jobs[0][0]}-{self._last_number}")

    def _submit(self, queue: LaunchQueue, jobs: list[PackedJob], batch_id: str) -> None:
        on_result = self._on_result
        try:
            function = self._remote_function(run_batch, queue.task_options)
            ref = function.remote(batch_id, [job[:2] for job in jobs])
        except Exception as error:  # this process is not connected any more
            for job in jobs:
                on_result(job[0], error)
            return
        batch = self._submitted[batch_id] = SubmittedBatch(batch_id, jobs, queue, ref)
        self._batch_by_job.update((job[0], batch) for job in jobs)
        queue.submitted_tasks += 1
        add_done_callback(ref, lambda result: on_result(batch_id, result))

    def _slots(self, queue: LaunchQueue) -> int:
        import ray

        now = time.monotonic()
        if not self._nodes or now - self._nodes_asked > NODES_VALID:
            self._nodes_asked = now
            with suppress(Exception):  # not connected any more
                self._nodes = ray.nodes()  # type: ignore[no-untyped-call]
        return task_slots(queue.task_options, self._nodes)

    def close_jobs(self, batch: SubmittedBatch, indices: Iterable[int]) -> list[tuple[int, str]]:
        """Take jobs out of a batch of which it is known how they end; return the id of each, by its index."""
        return [(index, job[0]) for index, job in self._pop(batch, indices)]

    def requeue(self, batch: SubmittedBatch, indices: Iterable[int]) -> None:
        """Put jobs of a batch that have not begun back into the queue, before the others."""
        for _, job in reversed(self._pop(batch, indices)):
            if self._is_wanted(job[0]):
                batch.queue.pending.appendleft(job)
            else:
                self._on_result(job[0], CANCELLED)

    def _pop(self, batch: SubmittedBatch, indices: Iterable[int]) -> list[tuple[int, PackedJob]]:
        popped = [(index, batch.open_jobs.pop(index)) for index in indices if index in batch.open_jobs]
        for _, job in popped:
            del self._batch_by_job[job[0]]
        return popped

    def task_ended(self, batch: SubmittedBatch) -> None:
        """A task has ended, and all of its jobs are accounted for: another one may follow."""
        del self._submitted[batch.batch_id]
        batch.queue.submitted_tasks -= 1
        self.submit_pending(batch.queue)
