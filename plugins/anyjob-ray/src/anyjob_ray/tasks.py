"""The Ray tasks that jobs are: submitted, cancelled, and followed to their end.

The same code serves in this process (mode ``fast``) and in the keeper, a detached actor (mode
``durable``), to which it is sent along.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from anyjob_ray.listening import when_done
from anyjob_ray.reasons import said_of
from anyjob_ray.worker import run

Tell = Callable[[str, Any], None]


class Task:
    """One job.

    Args:
        job_id: ours.
        walltime: seconds that it may run.
        retried: whether Ray runs it again if its worker dies.
    """

    __slots__ = (
        "began",
        "cancelled",
        "crashed",
        "fate",
        "job_id",
        "large",
        "place",
        "read_at",
        "ref",
        "retried",
        "said",
        "walltime",
    )

    def __init__(self, job_id: str, walltime: float | None, retried: bool = False) -> None:
        self.job_id = job_id
        self.walltime = walltime
        self.retried = retried
        self.ref: Any = None
        self.place: tuple[Any, ...] | None = None
        self.began = 0.0
        self.crashed = False
        self.said: bytes | None = None
        self.large = False
        self.cancelled = False
        self.fate = ""
        self.read_at: float | None = None

    def overdue(self) -> str:
        """Return ``walltime`` if it has run for longer than it was to: then that is why its worker died."""
        limit = self.walltime
        late = limit is not None and self.place is not None and time.monotonic() - self.began >= limit
        return "walltime" if late else ""

    @property
    def state(self) -> str:
        """Where it is: ``QUEUED``, ``RUNNING`` or ``ENDED``."""
        if self.said is not None:
            return "ENDED"
        return "QUEUED" if self.place is None else "RUNNING"


class Tasks:
    """Jobs by id, as Ray tasks that this process owns.

    Args:
        tell: called with the id of a job that has ended and what Ray gives for it, in a thread of
            Ray's, which must not be kept: `ended` is to be called with both, elsewhere.
    """

    def __init__(self, tell: Tell) -> None:
        self.known: dict[str, Task] = {}
        self._tell = tell
        self._functions: dict[bytes, Any] = {}

    def submit(
        self, works: Iterable[tuple[str, bytes, list[Any]]], plan: dict[str, Any], walltime: float | None
    ) -> Iterator[str]:
        """Submit jobs with these options of Ray's; yield the id of each once it is.

        Those that are known already are not run again.
        """
        function = self._function(plan)
        for job_id, head, buffers in works:
            if job_id not in self.known:
                task = self.known[job_id] = Task(job_id, walltime, plan["max_retries"] > 0)
                try:
                    # By way of the keeper, they are views of what it was sent.
                    task.ref = function.remote(head, *map(pickle.PickleBuffer, buffers))
                except BaseException:
                    del self.known[job_id]
                    raise
                self._follow(task)
            yield job_id

    def _function(self, plan: dict[str, Any]) -> Any:
        import ray

        key = pickle.dumps(sorted(plan.items(), key=lambda item: item[0]))
        function = self._functions.get(key)
        if function is None:
            function = self._functions[key] = ray.remote(**plan)(run)
        return function

    def _follow(self, task: Task) -> None:
        job_id, tell = task.job_id, self._tell
        when_done(task.ref, lambda result: tell(job_id, result))

    def ended(self, job_id: str, result: Any) -> Task | None:
        """Take in what Ray gave for a job; return it, unless it is not known any more."""
        task = self.known.get(job_id)
        if task is None or task.said is not None:
            return None
        if isinstance(result, bytes):
            said = result
        elif isinstance(result, tuple):
            said, task.large = result[0], len(result) > 1 or len(result[0]) > 0
        else:
            if not isinstance(result, BaseException):
                result = RuntimeError(f"Ray gave {type(result).__name__} for a job")
            task.crashed = True
            said = pickle.dumps(said_of(result, task.fate or task.overdue(), task.walltime), 5)
        if task.cancelled:
            said = _cancelled(said)
        task.said = said
        if not task.large:
            task.ref = None
        return task

    def began(self, job_id: str, place: tuple[Any, ...]) -> bool:
        """Note that a job runs, and where; return whether that is news."""
        task = self.known.get(job_id)
        if task is None or task.said is not None:
            return False
        task.place, task.began = tuple(place), time.monotonic()
        if task.cancelled:  # Ray forgets a cancel that comes just as it hands the task to a worker
            self._cancel(task)
        return True

    def doomed(self, job_id: str, fate: str) -> None:
        """Note that a worker is about to kill itself with its job, and why: it is not run again."""
        task = self.known.get(job_id)
        if task is not None and task.ref is not None:
            task.fate = fate
            # Not without need: some versions of Ray end this process if a worker dies as a cancel comes.
            if task.retried and not task.cancelled:
                self._cancel(task)

    def cancel(self, job_ids: Sequence[str]) -> dict[str, bool]:
        """Have jobs end; say for each whether it had not ended yet."""
        accepted = {}
        for job_id in job_ids:
            task = self.known.get(job_id)
            if task is None or task.said is not None:
                accepted[job_id] = False
                continue
            accepted[job_id] = task.cancelled = True
            self._cancel(task)
        return accepted

    def _cancel(self, task: Task) -> None:
        import ray

        try:
            ray.cancel(task.ref, force=False, recursive=True)
        except ValueError:  # it has just ended
            return

    def forget(self, job_ids: Iterable[str]) -> None:
        """Know nothing of these any more; those that have not ended are cancelled."""
        for job_id in job_ids:
            task = self.known.pop(job_id, None)
            if task is not None and task.said is None:
                self._cancel(task)


def _cancelled(said: bytes) -> bytes:
    """Whatever came of a job whose cancel was accepted, it is cancelled."""
    known = pickle.loads(said)
    if known["status"] == "CANCELLED":
        return said
    kept = {key: known[key] for key in ("started", "finished", "host", "written", "signal") if key in known}
    return pickle.dumps({**kept, "status": "CANCELLED"}, 5)
