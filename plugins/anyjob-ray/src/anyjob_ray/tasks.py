"""The Ray tasks that jobs are: submitted, cancelled, and followed to their end.

The same code serves in this process (mode ``fast``) and in the keeper, a detached actor (mode
``durable``), to which it is sent along.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from anyjob_ray.bulk import Bulk, Work
from anyjob_ray.failures import is_cancel, said_of
from anyjob_ray.recovery import Salvaged, salvage
from anyjob_ray.replies import when_done
from anyjob_ray.series import CANCELLED, read_lead
from anyjob_ray.submission import Launch, Sender, Sent
from anyjob_ray.worker import run

Tell = Callable[[str, Any], None]
LATER = 0.2
"""Seconds after which a series is interrupted that has a call which was cancelled, unless it has ended."""


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
        tell: called with an id, and what Ray gives for it, in a thread of Ray's, which must not be kept:
            `ended` is to be called with both, elsewhere.
        announce: called with the ids of jobs that are about to be cancelled, and may be in a series:
            when it returns, the worker must be able to learn of them from the board.
    """

    def __init__(self, tell: Tell, announce: Callable[[list[str]], None] = lambda job_ids: None) -> None:
        self.known: dict[str, Task] = {}
        self._tell = tell
        self._announce = announce
        self._functions: dict[tuple[Any, bytes], Any] = {}
        self._sender = Sender(self._function, tell, self._is_wanted)
        self._lock = threading.RLock()

    def submit(
        self,
        works: Iterable[Work],
        plan: dict[str, Any],
        walltime: float | None,
        launch: Launch | None = None,
    ) -> list[str]:
        """Submit jobs with these options of Ray's; return the id of each.

        Those that are known already are not run again.

        Args:
            works: the jobs.
            plan: the options of their tasks.
            walltime: seconds that each may run.
            launch: what they were launched with, if short ones may share a task; else each is one.
        """
        function = self._function(run, plan)
        with self._lock:
            bulk = self._sender.bulk(launch, plan) if launch is not None else None
            taken = [self._take(work, function, bulk, plan, walltime) for work in works]
            if bulk is not None:
                self._sender.fill(bulk)
        return taken

    def _take(
        self, work: Work, function: Any, bulk: Bulk | None, plan: dict[str, Any], walltime: float | None
    ) -> str:
        job_id, head, buffers = work
        if job_id in self.known:
            return job_id
        task = self.known[job_id] = Task(job_id, walltime, plan["max_retries"] > 0)
        if bulk is not None and not buffers:
            bulk.waiting.append(work)
            return job_id
        try:
            # By way of the keeper, they are views of what it was sent.
            task.ref = function.remote(head, *map(pickle.PickleBuffer, buffers))
        except BaseException:
            del self.known[job_id]
            raise
        tell = self._tell
        when_done(task.ref, lambda result: tell(job_id, result))
        return job_id

    def _function(self, called: Any, plan: dict[str, Any]) -> Any:
        import ray

        key = called, pickle.dumps(sorted(plan.items(), key=lambda item: item[0]))
        function = self._functions.get(key)
        if function is None:
            function = self._functions[key] = ray.remote(**plan)(called)
        return function

    # --- calls in series ------------------------------------------------------------------------

    def _is_wanted(self, job_id: str) -> bool:
        task = self.known.get(job_id)
        return task is not None and task.said is None and not task.cancelled

    def part(self, series_id: str, done: Mapping[int, bytes], rest: Sequence[int]) -> list[Task]:
        """Take in what came of some calls of a series so far; the rest is to be made by other tasks.

        Returns those that have ended.
        """
        with self._lock:
            sent = self._sender.named(series_id)
            if sent is None:
                return []
            ended = self._settle_all(sent, done)
            self._sender.wait_again(sent, rest)
            self._sender.fill(sent.bulk)
        return ended

    def _settle_all(self, sent: Sent, done: Mapping[int, bytes]) -> list[Task]:
        taken = self._sender.take(sent, sorted(done))
        return [task for number, job_id in taken for task in self._settle(job_id, done[number])]

    def _settle_all_as(self, sent: Sent, numbers: Iterable[int], result: Any, fate: str = "") -> list[Task]:
        taken = self._sender.take(sent, list(numbers))
        return [task for _, job_id in taken for task in self._ended_one(job_id, result, fate)]

    def _ended_series(self, sent: Sent, result: Any) -> list[Task]:
        """Take in how a task with a series has ended."""
        if isinstance(result, Salvaged):
            ended = self._settle_salvaged(sent, result)
        elif isinstance(result, (bytes, tuple)):
            ended = self._settle_lead(sent, result)
        elif sent.several:
            salvage(sent.series_id, result, self._tell)
            return []
        else:
            ended = self._settle_all_as(sent, sent.left, result)
        self._sender.over(sent)
        return ended

    def _settle_lead(self, sent: Sent, result: bytes | tuple[Any, ...]) -> list[Task]:
        lead = read_lead(result if isinstance(result, bytes) else bytes(result[-1]))
        ended = self._settle_all(sent, lead.done)
        if lead.large is not None:
            for _, job_id in self._sender.take(sent, [lead.large]):
                ended += self._ended_one(job_id, result[:-1], ref=sent.ref)
        sent.bulk.learn(lead)
        self._sender.wait_again(sent, lead.rest)
        return ended

    def _settle_salvaged(self, sent: Sent, salvaged: Salvaged) -> list[Task]:
        """A worker has died, or what it returned was dropped: its journal tells what has begun."""
        sent.bulk.distrust()
        was_cancelled = is_cancel(salvaged.error)  # which says that one was, but not whether it is this one
        ended = self._settle_all(sent, salvaged.known.done)
        ended += self._settle_all_as(
            sent, salvaged.known.begun, salvaged.error, "died" if was_cancelled else ""
        )
        if salvaged.found or (salvaged.sure and was_cancelled):
            self._sender.wait_again(sent, list(sent.left))
        return ended + self._settle_all_as(sent, sent.left, salvaged.error)

    # --- how they end ---------------------------------------------------------------------------

    def ended(self, name: str, result: Any) -> list[Task]:
        """Take in what Ray gave for a job, or for a series; return the jobs that have ended by that."""
        with self._lock:
            sent = self._sender.named(name)
            return self._ended_one(name, result) if sent is None else self._ended_series(sent, result)

    def _ended_one(self, job_id: str, result: Any, fate: str = "", ref: Any = None) -> list[Task]:
        task = self.known.get(job_id)
        if task is None or task.said is not None:
            return []
        if isinstance(result, bytes):
            said = result
        elif isinstance(result, tuple):
            said, task.large = result[0], len(result) > 1 or len(result[0]) > 0
            task.ref = ref or task.ref
        else:
            if not isinstance(result, BaseException):
                result = RuntimeError(f"Ray gave {type(result).__name__} for a job")
            task.crashed = True
            said = pickle.dumps(said_of(result, task.fate or task.overdue() or fate, task.walltime), 5)
        return self._settle(job_id, said)

    def _settle(self, job_id: str, said: bytes) -> list[Task]:
        """Take in what came of a job; return it, unless that was known, or nobody asks any more."""
        task = self.known.get(job_id)
        if task is None or task.said is not None:
            return []
        task.said = _cancelled(said) if task.cancelled else said
        if not task.large:
            task.ref = None
        return [task]

    def began(self, job_id: str, place: tuple[Any, ...]) -> bool:
        """Note that a job runs, and where; return whether that is news."""
        task = self.known.get(job_id)
        if task is None or task.said is not None:
            return False
        task.place, task.began = tuple(place), time.monotonic()
        sent = self._sender.of(job_id)
        if task.cancelled and (sent is None or sent.interrupted):
            # Ray forgets a cancel that comes just as it hands the task to a worker.
            self._interrupt(task)
        elif sent is not None:
            sent.interrupted = False  # the one that was cancelled is over, and this one may be next
        return True

    def doomed(self, job_id: str, fate: str) -> None:
        """Note that a worker is about to kill itself with its job, and why: it is not run again."""
        task = self.known.get(job_id)
        if task is not None and task.said is None:
            task.fate = fate
            # Not without need: some versions of Ray end this process if a worker dies as a cancel comes.
            if task.retried and not task.cancelled:
                self._cancel([task])

    def cancel(self, job_ids: Sequence[str]) -> dict[str, bool]:
        """Have jobs end; say for each whether it had not ended yet."""
        accepted, tasks = {}, []
        with self._lock:
            for job_id in job_ids:
                task = self.known.get(job_id)
                accepted[job_id] = task is not None and task.said is None
                if task is not None and task.said is None:
                    task.cancelled = True
                    tasks.append(task)
        self._cancel(tasks)
        return accepted

    def cancelled(self) -> list[str]:
        """Return the jobs that were cancelled and have not ended."""
        return [task.job_id for task in list(self.known.values()) if task.cancelled and task.said is None]

    def is_cancelled(self, job_id: str) -> bool:
        """Tell whether somebody has cancelled, or forgotten, a job."""
        task = self.known.get(job_id)
        return task is None or task.cancelled

    def _cancel(self, tasks: list[Task]) -> None:
        in_series = [task for task in tasks if (sent := self._sender.of(task.job_id)) and sent.several]
        if in_series:
            self._announce([task.job_id for task in in_series])
        in_bulk = []
        for task in tasks:
            if task.ref is not None:
                self._interrupt(task)
            elif self._sender.of(task.job_id) is None:  # it waits
                self._tell(task.job_id, CANCELLED)
            else:
                in_bulk.append(task)
        if all(task.place is not None for task in in_bulk):
            self._interrupt_all(in_bulk)
        else:
            # Ray may end this process if a task ends as its cancel comes, and most of these end very soon.
            timer = threading.Timer(LATER, self._interrupt_all, [in_bulk])
            timer.daemon = True
            timer.start()

    def _interrupt_all(self, tasks: list[Task]) -> None:
        for task in reversed(tasks):  # lest one that waits gets the place of one that runs
            sent = self._sender.of(task.job_id)
            if sent is not None and not sent.interrupted:  # once: the worker asks who is meant
                self._interrupt(task)

    def _interrupt(self, task: Task) -> None:
        import ray

        sent, ref = self._sender.of(task.job_id), task.ref
        if sent is not None:
            sent.interrupted, ref = True, sent.ref
        if ref is not None and ray.is_initialized():  # else it has just ended
            with suppress(ValueError):
                ray.cancel(ref, force=False, recursive=True)

    def forget(self, job_ids: Iterable[str]) -> None:
        """Know nothing of these any more; those that have not ended are cancelled."""
        job_ids = list(job_ids)
        self.cancel(job_ids)
        for job_id in job_ids:
            self.known.pop(job_id, None)


def _cancelled(said: bytes) -> bytes:
    """Whatever came of a job whose cancel was accepted, it is cancelled."""
    known = pickle.loads(said)
    if known["status"] == "CANCELLED":
        return said
    kept = {key: known[key] for key in ("started", "finished", "host", "written", "signal") if key in known}
    return pickle.dumps({**kept, "status": "CANCELLED"}, 5)
