"""The queue of the type ``aer``, and its one thread: Aer itself runs one job at a time in a process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from anyjob import JobStatus, Outcome
from anyjob.sdk import PluginThread, outcome_from_report, runner


class QueuedSimulation:
    """One job: circuits that wait to be simulated, are, or have been.

    Args:
        job_id: ours.
        simulate: simulates the circuits, and returns what came of them.

    Attributes:
        job_id: ours.
        status: QUEUED or RUNNING, as long as there is no outcome.
        outcome: what came of it.
    """

    def __init__(self, job_id: str, simulate: Callable[[], Any]) -> None:
        self.job_id = job_id
        self.status = JobStatus.QUEUED
        self.outcome: Outcome | None = None
        self._simulate = simulate
        self._lock = threading.Lock()

    def cancel(self) -> bool:
        """End it, if it has not begun; return whether that was so."""
        with self._lock:
            if self.status is not JobStatus.QUEUED or self.outcome is not None:
                return False
            host = os.uname().nodename
            self.outcome = Outcome(status=JobStatus.CANCELLED, finished=time.time(), host=host)
            return True

    def begin(self) -> bool:
        """From now on it cannot be cancelled; return False where it was."""
        with self._lock:
            if self.outcome is None:
                self.status = JobStatus.RUNNING
            return self.outcome is None

    def run(self) -> None:
        """Simulate the circuits, and make an outcome of what came of them."""
        fields = runner.perform(lambda: (self._simulate, (), {}))
        self.outcome = outcome_from_report(runner.pickled(fields))


class SimulationQueue:
    """A queue of jobs, and the thread that runs one after the other.

    Args:
        name: that of the thread.
        on_change: called with each job when it has begun, and again when it has an outcome.
    """

    def __init__(self, name: str, on_change: Callable[[QueuedSimulation], None]) -> None:
        self._on_change = on_change
        self._queue: SimpleQueue[QueuedSimulation | None] = SimpleQueue()
        self._thread = PluginThread(self._run_queued, name)
        self._thread.start()

    def put(self, simulation: QueuedSimulation) -> None:
        """Queue a job."""
        self._queue.put(simulation)

    def close(self, timeout: float | None) -> None:
        """End the thread after what is queued, and wait for that so many seconds at most."""
        self._queue.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run_queued(self) -> None:
        while (simulation := self._queue.get()) is not None:
            if simulation.begin():
                self._notify(simulation)
                simulation.run()
                self._notify(simulation)
            del simulation  # while it waits for the next, it keeps nothing of the last

    def _notify(self, simulation: QueuedSimulation) -> None:
        try:
            self._on_change(simulation)
        except Exception as error:  # of a hook, where plugins are strict: the others go on
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))
