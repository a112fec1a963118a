"""The threads of a pool: one a slot, each of which runs one job after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from anyjob.builtin.pool_job import PoolJob


class SlotThreads:
    """Threads that take jobs from one queue, first in, first out.

    Args:
        run: runs a job.
        on_exit: called in each thread at its end.
    """

    def __init__(self, run: Callable[[PoolJob], None], on_exit: Callable[[], None]) -> None:
        self._run = run
        self._on_exit = on_exit
        self._queue: SimpleQueue[PoolJob | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def grow(self, count: int, name: str) -> None:
        """Have at least so many threads, whose names begin with this one; called by one thread at a time."""
        for number in range(len(self._threads), count):
            thread = threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def put(self, job: PoolJob) -> None:
        """Have a job run by the next thread that is free."""
        self._queue.put(job)

    def stop(self, timeout: float | None) -> None:
        """Have the threads end after what they run, and wait for each so many seconds, or without a bound."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout)

    def _serve(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                self._run(job)
            except Exception as error:  # of a hook, where plugins are strict: the slot lives on
                threading.excepthook(
                    threading.ExceptHookArgs((type(error), error, error.__traceback__, None))
                )
            del job  # while it waits for the next, it keeps nothing of the last
        self._on_exit()
