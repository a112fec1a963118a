"""Cancels tasks, and jobs of batches: once a batch, whose worker then asks which of its jobs are meant."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from anyjob_ray.tasks.batch_submitter import BatchSubmitter
from anyjob_ray.tasks.task import Task
from anyjob_ray.worker.batch import CANCELLED

DELAY = 0.2
"""Seconds after which a batch is interrupted that has a job which was cancelled, unless it has ended."""


class Canceller:
    """Has Ray cancel what was submitted.

    Args:
        submitter: which knows the batches.
        on_result: called with the id of a job that was never submitted, and its outcome.
        announce: called with the ids of jobs of batches that are about to be cancelled: when it returns,
            their workers must be able to learn of them from the event actor.
    """

    def __init__(
        self,
        submitter: BatchSubmitter,
        on_result: Callable[[str, Any], None],
        announce: Callable[[list[str]], None],
    ) -> None:
        self._submitter = submitter
        self._on_result = on_result
        self._announce = announce
        self._delayed: deque[tuple[float, list[Task]]] = deque()
        """When to interrupt batches of which tasks: in this order, since the delay is one for all."""
        self._is_waiting = False
        self._lock = threading.Lock()

    def cancel(self, tasks: list[Task]) -> None:
        """Have tasks end that are marked as cancelled."""
        ours = [
            task for task in tasks if (batch := self._submitter.batch_of(task.job_id)) and batch.has_several
        ]
        if ours:
            self._announce([task.job_id for task in ours])
        in_batches = []
        for task in tasks:
            if task.ref is not None:
                self.interrupt(task)
            elif self._submitter.batch_of(task.job_id) is None:  # it is in a queue
                self._on_result(task.job_id, CANCELLED)
            else:
                in_batches.append(task)
        if all(task.location is not None for task in in_batches):
            self._interrupt_batches(in_batches)
        else:
            self._interrupt_batches_later(in_batches)

    def _interrupt_batches_later(self, tasks: list[Task]) -> None:
        """Wait for most to have ended: Ray may end this process if a task ends as its cancel comes.

        One thread waits for all that are cancelled meanwhile.
        """
        with self._lock:
            self._delayed.append((time.monotonic() + DELAY, tasks))
            if self._is_waiting:
                return
            self._is_waiting = True
        threading.Thread(target=self._interrupt_delayed, name="anyjob-ray-cancels", daemon=True).start()

    def _interrupt_delayed(self) -> None:
        while True:
            with self._lock:
                if not self._delayed:
                    self._is_waiting = False
                    return
                due, tasks = self._delayed.popleft()
            time.sleep(max(0.0, due - time.monotonic()))
            with suppress(Exception):  # this process is not connected any more
                self._interrupt_batches(tasks)

    def _interrupt_batches(self, tasks: Sequence[Task]) -> None:
        for task in reversed(tasks):  # lest one that waits gets the place of one that runs
            batch = self._submitter.batch_of(task.job_id)
            if batch is not None and not batch.interrupted:
                self.interrupt(task)

    def interrupt(self, task: Task) -> None:
        """Have Ray interrupt the task that runs a job."""
        import ray

        batch, ref = self._submitter.batch_of(task.job_id), task.ref
        if batch is not None:
            batch.interrupted, ref = True, batch.ref
        if ref is not None and ray.is_initialized():  # else it has just ended
            with suppress(ValueError):
                ray.cancel(ref, force=False, recursive=True)
