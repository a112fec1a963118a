"""The signals by which Ray cancels: they raise in the code of the job that is meant, and nowhere else."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from typing import Any

from anyjob_ray.worker.job import JobInterrupted, WorkerState

INTERRUPT, WAKE = int(signal.SIGINT), int(signal.SIGUSR1)
"""What Ray cancels by, and what has the main thread look at a job that is to end."""


class SignalHandling:
    """The handlers of the main thread, and the pipe by which another thread hears of signals.

    Ray's own cancel is noticed by Python only between two bytecodes, so a call that sleeps, or waits for a
    program, is woken by a signal.

    Args:
        state: what this process, in whose main thread it is made, is doing.
    """

    def __init__(self, state: WorkerState) -> None:
        self._state = state
        self._main_thread = threading.get_ident()
        self._read_fd, self._write_fd = os.pipe()
        os.set_blocking(self._read_fd, False)
        os.set_blocking(self._write_fd, False)
        self._handler = self._handle  # one object: to be told from others'
        self._previous: dict[int, Any] = {}

    # --- in the main thread -----------------------------------------------------------------------

    def install(self) -> None:
        """Have signals handled here: they stay so, unless a job has set its own handlers meanwhile."""
        for number in (INTERRUPT, WAKE):
            if signal.getsignal(number) is not self._handler:
                self._previous[number] = signal.getsignal(number)
                signal.signal(number, self._handler)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)

    def _handle(self, number: int, frame: Any) -> None:
        job, batch = self._state.job, self._state.batch
        if number == INTERRUPT and batch is not None:
            batch.cancel_requested = True
            return
        if job is None:
            previous = self._previous.get(number)  # Ray's, for tasks that are not ours
            # One that comes when a batch has ended would only have Ray drop what it returns.
            if number == INTERRUPT and callable(previous) and task_id() != self._state.last_batch_task:
                previous(number, frame)
            return
        if number == INTERRUPT:
            job.end_reason = job.end_reason or "cancelled"
        if job.interruptible and job.end_reason:  # else it is still to start, or cleans up, or is not to end
            job.interruptible = False
            job.kill_at = time.monotonic() + job.context.grace
            raise JobInterrupted

    def wake_waiter(self) -> None:
        """Have `wait` return."""
        os.write(self._write_fd, b"\0")

    # --- in any thread ----------------------------------------------------------------------------

    def wait(self, seconds: float | None) -> bool:
        """Wait for a signal; return whether `drain` has something to give."""
        readable, _, _ = select.select([self._read_fd], [], [], seconds)
        return bool(readable)

    def drain(self) -> bytes:
        """Return the numbers of the signals that have come since the last time."""
        try:
            return os.read(self._read_fd, 4096)
        except BlockingIOError:  # another thread has
            return b""

    def wake_main_thread(self) -> None:
        """Have the main thread look at its job, which is to end."""
        signal.pthread_kill(self._main_thread, WAKE)


def task_id() -> str:
    """Return the id of the Ray task that this process runs."""
    import ray

    return str(ray.get_runtime_context().get_task_id())
