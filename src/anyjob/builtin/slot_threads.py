"""The threads of a pool, of which so many run jobs at a time as it has slots."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable

from anyjob.builtin.pool_job import PoolJob
from anyjob.errors import BackendError
from anyjob.process.plugin_thread import PluginThread


class SlotThreads:
    """Threads that take jobs from one queue, first in, first out, each with as many slots as it asks for.

    A thread that tells of the end of a job has given its slot back: what it calls may submit jobs, and wait
    for them. So there may be more threads than slots; those that are not needed any more end.

    Args:
        slots: how many jobs run at a time.
        run: runs a job.
        tell: tells of the end of a job; called without a slot.
        name: what the names of the threads begin with.
    """

    def __init__(
        self, slots: int, run: Callable[[PoolJob], None], tell: Callable[[PoolJob], None], name: str
    ) -> None:
        self._slots = slots
        self._run = run
        self._tell = tell
        self._name = name
        self._queue: deque[PoolJob] = deque()
        self._changed = threading.Condition()
        self._busy = 0  # slots that are taken
        self._idle = 0  # threads that wait for a slot and a job
        self._started = 0
        self._threads: set[threading.Thread] = set()
        self._is_stopped = False

    def reserve(self, count: int) -> None:
        """Have threads for so many jobs more; called before they are put.

        Raises:
            BackendError: there is no thread at all, and none can be started.
        """
        with self._changed:
            self._staff(min(len(self._queue) + count, self._slots - self._busy))

    def put(self, job: PoolJob) -> None:
        """Have a job run as soon as there is a slot."""
        with self._changed:
            self._queue.append(job)
            if self._busy < self._slots:
                self._staff(min(len(self._queue), self._slots - self._busy))
                self._changed.notify()

    def waiting(self) -> int:
        """Return how many jobs wait for a slot."""
        return len(self._queue)

    def stop(self, timeout: float | None) -> None:
        """Have the threads end after what they run, and wait for each so many seconds, or without a bound."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
            threads: Iterable[threading.Thread] = list(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout)

    def _staff(self, wanted: int) -> None:
        """Start the threads that are missing where so many are to wait for a job; with the lock held."""
        while self._idle < wanted and not self._is_stopped:
            thread = PluginThread(self._serve, f"{self._name}-{self._started}")
            try:
                thread.start()
            except RuntimeError as error:  # the operating system's limit: those that there are go on
                if self._threads:
                    return
                raise BackendError(
                    f"no thread can be started to run jobs in: {error}; end what else runs, or raise the "
                    "limit of processes (ulimit -u)"
                ) from error
            self._threads.add(thread)
            self._started += 1
            self._idle += 1

    def _serve(self) -> None:
        while (job := self._take()) is not None:
            try:
                try:
                    self._run(job)
                finally:
                    self._give_back(job)
                self._tell(job)
            except Exception as error:  # of whoever was told: the slot lives on
                threading.excepthook(
                    threading.ExceptHookArgs((type(error), error, error.__traceback__, None))
                )
            del job  # while it waits for the next, it keeps nothing of the last
            with self._changed:
                if self._idle >= self._slots:  # others stood in while this one told of the end
                    break
                self._idle += 1
        with self._changed:
            self._threads.discard(threading.current_thread())

    def _take(self) -> PoolJob | None:
        """Wait for a job, and take it and a slot; None where there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopped or self._has_next())
            self._idle -= 1
            if self._is_stopped:
                return None
            job = self._queue.popleft()
            self._busy += job.slots
            self._call_next()  # one that has ended may have given back more slots than this one takes
            return job

    def _has_next(self) -> bool:
        return bool(self._queue) and self._busy + self._queue[0].slots <= self._slots

    def _call_next(self) -> None:
        if self._has_next():
            self._staff(1)
            self._changed.notify()

    def _give_back(self, job: PoolJob) -> None:
        with self._changed:
            self._busy -= job.slots
            self._call_next()
