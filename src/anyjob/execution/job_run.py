"""One job that this process runs: how far it is, what came of it, and how its process is ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager

import msgspec

from anyjob.orders import Order
from anyjob.outcome import Outcome
from anyjob.status import JobStatus


class JobRun:
    """One job that this process runs, itself or as a child.

    One thread calls `begin`, then, around what the job does in a process, `process`, and `finish` in the end.
    Any thread may `cancel` it meanwhile, and end the processes of those that run::

        if run.begin():
            with run.process(child.pid):
                ...
            run.finish(outcome)

    Args:
        order: the job.

    Attributes:
        order: the job.
        running: whether it has begun.
        cancelled: whether a cancel was accepted.
        overdue: whether it was ended since its walltime was over.
        outcome: what came of it; None as long as it has not ended.
    """

    __slots__ = ("_ending", "_guard", "_pid", "cancelled", "order", "outcome", "overdue", "running")

    def __init__(self, order: Order) -> None:
        self.order = order
        self.running = False
        self.cancelled = False
        self.overdue = False
        self.outcome: Outcome | None = None
        self._guard = threading.Lock()  # of its own: on a common one, all slots of a pool would queue
        self._pid: int | None = None  # the process that it runs in, where it has one
        self._ending = threading.Lock()  # held while that is being ended: it must not be reaped

    def begin(self) -> bool:
        """From now on it runs; return False where it must not, since it was cancelled before."""
        with self._guard:
            if self.outcome is not None or self.cancelled:
                return False
            self.running = True
        return True

    @property
    def attempt(self) -> int:
        """The number of the attempt that is next, or runs, or was the last."""
        return 1

    def cancel(self, *, ends: bool = True) -> bool:
        """Cancel it; return whether that was accepted: not of one that has ended.

        One that has not begun has ended with this. The process of one that runs is still to be ended: see
        `end_processes`.

        Args:
            ends: whether it can be ended while it runs.
        """
        with self._guard:
            if self.outcome is not None or (self.running and not ends):
                return False
            self.cancelled = True
            if not self.running:
                now = time.time()
                self.outcome = Outcome(status=JobStatus.CANCELLED, finished=now, attempt=self.attempt)
        return True

    def process(self, pid: int) -> AbstractContextManager[None]:
        """Return a context manager for as long as the job has this process, which leads a session.

        While it is entered, the process is ended, with all that it has started, by `end_processes`, by a
        cancel that came before, and when the walltime of the job is over. It is to be reaped after that.
        """
        return _Process(self, pid)

    def finish(self, outcome: Outcome) -> bool:
        """Take in what came of it; return whether it had not ended yet.

        Of one that was cancelled, or has run too long, the outcome says so instead.
        """
        outcome = self.as_it_ended(outcome)
        with self._guard:
            if self.outcome is not None:
                return False
            self.outcome = outcome
        return True

    def as_it_ended(self, outcome: Outcome) -> Outcome:
        """Return an outcome that says, where it was cancelled, or has run too long, just that."""
        if self.cancelled:
            return _cancelled(outcome)
        return _overdue(outcome, self.order.resources.walltime) if self.overdue else outcome

    def rest(self) -> bool:
        """An attempt has ended, and there is another: it does not run until it begins again.

        Returns False where a cancel was accepted meanwhile.
        """
        with self._guard:
            if self.cancelled:
                return False
            self.running = self.overdue = False
        return True

    @staticmethod
    def end_processes(runs: Iterable[JobRun]) -> None:
        """End the processes of jobs, with all that these have started, and wait for that: TERM, 5 s, KILL."""
        runs = sorted(runs, key=id)  # one order for all: each waits for the locks of several
        if not runs:
            return
        from anyjob.execution import spawning  # of no use to calls in threads

        for run in runs:
            run._ending.acquire()
        try:
            spawning.terminate([run._pid for run in runs if run._pid is not None])
        finally:
            for run in runs:
                run._ending.release()


class _Process(AbstractContextManager[None]):
    """The process of a job, while it is entered."""

    __slots__ = ("_pid", "_run", "_timer")

    def __init__(self, run: JobRun, pid: int) -> None:
        self._run = run
        self._pid = pid
        self._timer: threading.Timer | None = None

    def __enter__(self) -> None:
        run = self._run
        with run._ending:
            run._pid = self._pid
        if run.cancelled:  # before there was a pid to be seen
            JobRun.end_processes([run])
            return
        walltime = run.order.resources.walltime
        if walltime is not None:
            self._timer = threading.Timer(walltime, self._over)
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, *exc: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._run._ending:
            self._run._pid = None

    def _over(self) -> None:
        self._run.overdue = True
        JobRun.end_processes([self._run])


def _cancelled(outcome: Outcome) -> Outcome:
    return Outcome(
        status=JobStatus.CANCELLED,
        signal=outcome.signal,
        started=outcome.started,
        finished=time.time(),
        peak_memory=outcome.peak_memory,
        cpu_time=outcome.cpu_time,
        host=outcome.host,
    )


def _overdue(outcome: Outcome, walltime: float | None) -> Outcome:
    return msgspec.structs.replace(
        outcome,
        status=JobStatus.ERROR,
        reason="walltime",
        message=f"it ran longer than the {walltime:g} s that were asked for",
        exception=None,
        traceback="",
        finished=time.time(),
    )
