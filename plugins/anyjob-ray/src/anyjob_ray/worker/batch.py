"""A batch: jobs that one Ray task runs one after the other.

What has not begun can be taken back from it: by the thread that monitors the worker, where a job turns out to
take long, and by the owner of the task, who cancels jobs.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from anyjob_ray.worker.journal import Journal

CANCELLED = pickle.dumps({"status": "CANCELLED"}, 5)
"""The outcome of a job that has not begun, and will not."""


class BatchResult(NamedTuple):
    """What a task returns of its batch.

    Args:
        outcomes: what came of jobs, pickled, by their indices.
        not_run: the indices of those that were not run.
        large: the index of the one whose value lies beside this; it is the last.
        seconds: how long all of it has taken.
        journaled: whether the journal could be written: without it, jobs are not put in batches.
    """

    outcomes: dict[int, bytes]
    not_run: list[int]
    large: int | None
    seconds: float
    journaled: bool


class Batch:
    """The jobs of one task.

    Args:
        batch_id: ours.
        jobs: the id of each, and its payload.
        journal: where it is written down; None: it is of one job, of which it is clear that it has begun.
    """

    def __init__(
        self, batch_id: str, jobs: Sequence[tuple[str, bytes]], journal: Journal | None = None
    ) -> None:
        self.batch_id = batch_id
        self.jobs = jobs
        self.cancelled: set[str] = set()
        self.cancel_requested = False
        """Whether Ray has interrupted us: somebody has cancelled a job, and which one is to be found out."""
        self.outcomes: dict[int, bytes] = {}
        self._next, self._end = 0, len(jobs)
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._journal = journal
        self._journaled = True
        self._released = False

    def start_next(self) -> int | None:
        """Return the index of the next job, which begins now; None: there is none."""
        with self._lock:
            while self._next < self._end:
                index = self._next
                if self.jobs[index][0] in self.cancelled:
                    self.outcomes[index] = CANCELLED
                elif self._journal is not None and not self._journal.begin(index):
                    self._journaled = False
                    return None
                else:
                    self._next += 1
                    return index
                self._next += 1
            return None

    def ended(self, index: int, outcome: bytes) -> None:
        """Take in what came of a job."""
        if self._journal is not None:
            self._journal.end(index, outcome)
        self.outcomes[index] = outcome

    def release_rest(self) -> tuple[dict[int, bytes], list[int]] | None:
        """Run no job after this one; return what came of those before it, and which are left.

        None where that is nothing, or known already.
        """
        with self._lock:
            rest = list(range(self._next, self._end))
            self._end = self._next
        released, self._released = self._released, True
        return None if released or not (rest or self.outcomes) else (dict(self.outcomes), rest)

    def result(self, large: int | None = None) -> bytes:
        """Return a pickled `BatchResult`."""
        if self._journal is not None:
            self._journal.close()
        ran = {*self.outcomes, large}
        not_run = [index for index in range(len(self.jobs)) if index not in ran]
        seconds = time.monotonic() - self._start
        return pickle.dumps(tuple(BatchResult(self.outcomes, not_run, large, seconds, self._journaled)), 5)


def load_batch_result(blob: bytes) -> BatchResult:
    """Unpickle what a task has returned of its batch."""
    return BatchResult(*pickle.loads(blob))
