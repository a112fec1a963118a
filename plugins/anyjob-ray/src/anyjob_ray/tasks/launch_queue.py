"""The jobs of one launch that are not submitted yet, and how many of them make a batch.

A task of Ray's costs a millisecond or so of several processes, however short the job. So jobs that turn
out to be short are run by one task in a batch; and no more tasks are submitted than keep the cluster busy,
so that what is learnt of the first serves the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anyjob_ray.worker.batch import BatchResult

PackedJob = tuple[str, bytes, Sequence[Any], Mapping[str, Any]]
"""The id of a job, its payload, the large parts of its arguments, and the object refs of the jobs that it
starts after, by the ids of these."""
MAX_JOBS = 64
"""Jobs of a batch, at most."""
MAX_BYTES = 64 * 1024
"""Bytes of the payloads of a batch, at most: what is larger Ray sends by its object store."""
GROWTH = 4
"""How many times larger a batch may be than the one before it."""
TASKS_PER_SLOT = 2
"""Tasks that are submitted for each that can run: one runs, one is there when that has ended."""


class LaunchQueue:
    """The jobs of one launch that wait for a task.

    Args:
        task_options: those of their tasks.
        batch_duration: seconds that a batch is to take.
    """

    def __init__(self, task_options: dict[str, Any], batch_duration: float) -> None:
        self.task_options = task_options
        self._batch_duration = batch_duration
        self.pending: deque[PackedJob] = deque()
        self.submitted_tasks = 0
        self._batch_size = 1
        self._max_batch_size = MAX_JOBS

    def next_batch(self, slots: int, is_wanted: Callable[[str], bool]) -> list[PackedJob]:
        """Take out the jobs that the next task runs; none, where enough tasks are submitted.

        Args:
            slots: how many tasks can run at a time.
            is_wanted: whether a job is still to run.
        """
        batch: list[PackedJob] = []
        if self.submitted_tasks >= TASKS_PER_SLOT * slots + TASKS_PER_SLOT:
            return batch
        # The last are shared out, so that all of the cluster ends at about the same time.
        share = -(-len(self.pending) // (TASKS_PER_SLOT * slots))
        size, total = min(self._batch_size, share), 0
        while self.pending and len(batch) < size:
            job = self.pending.popleft()
            if not is_wanted(job[0]):
                continue
            total += len(job[1])
            if batch and total > MAX_BYTES:
                self.pending.appendleft(job)
                break
            batch.append(job)
        return batch

    def adapt_batch_size(self, result: BatchResult) -> None:
        """See how long the jobs of a batch took."""
        ran = len(result.outcomes) + (result.large is not None)
        if not result.journaled or result.large is not None:
            self._max_batch_size = 1  # what is large goes by the object store, one at a time
        if ran:
            fitting = int(self._batch_duration * ran / max(result.seconds, 1e-6))
            self._batch_size = max(1, min(fitting, GROWTH * self._batch_size, self._max_batch_size))

    def reset_batch_size(self) -> None:
        """A worker has died: let jobs go one by one, and begin to learn anew."""
        self._batch_size = 1
