"""A job: a handle on one piece of work that was given to a backend.

The interface is that of ``BaseJob`` in Qiskit's original provider interface
(``qiskit.providers.BaseJob``, 0.7 to 0.17), with its meaning kept and its traps removed.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

from anyjob.errors import BackendUnavailableError, JobTimeoutError
from anyjob.status import JOB_FINAL_STATES, JobStatus, as_status, backoff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

__all__ = ["JOB_FINAL_STATES", "BaseJob", "JobStatus", "as_status", "backoff"]


class BaseJob(ABC):
    """A handle on one piece of work that was given to a backend.

    Subclasses bring ``submit``, ``result``, ``cancel`` and ``status``. They may set ``_job_id``
    late (once the engine has given one) and take other constructor arguments than these.

    Args:
        backend: the backend that the work was given to.
        job_id: unique in the context of that backend.
    """

    _backend: Any = None
    _job_id: Any = None
    _status_observer: Any = None

    def __init__(self, backend: Any, job_id: str) -> None:
        self._backend = backend
        self._job_id = job_id

    @abstractmethod
    def submit(self) -> Any:
        """Hand the work to the backend."""

    @abstractmethod
    def result(self) -> Any:
        """Return what came of the work, in the form that its kind defines; wait for it if need be."""

    @abstractmethod
    def cancel(self) -> Any:
        """Try to cancel the job. Return True where the cancel was accepted."""

    @abstractmethod
    def status(self) -> Any:
        """Ask where the job is, and return a `JobStatus`."""

    def backend(self) -> Any:
        """Return the backend that this job was given to."""
        return self._backend

    def job_id(self) -> str:
        """Return the id; empty as long as the backend has not given one."""
        return "" if self._job_id is None else str(self._job_id)

    def cancelled(self) -> bool:
        """Ask whether the job has been cancelled."""
        return self._ask_status() is JobStatus.CANCELLED

    def done(self) -> bool:
        """Ask whether the job has finished successfully."""
        return self._ask_status() is JobStatus.DONE

    def running(self) -> bool:
        """Ask whether the job is running."""
        return self._ask_status() is JobStatus.RUNNING

    def in_final_state(self) -> bool:
        """Ask whether the job has ended, in whichever way."""
        return self._ask_status() in JOB_FINAL_STATES

    def wait_for_final_state(
        self,
        timeout: float | None = None,
        wait: float = 5,
        callback: Callable[[str, JobStatus, Any], Any] | None = None,
    ) -> None:
        """Wait until the job has ended, in whichever way.

        Args:
            timeout: seconds to wait at most; 0 asks once; None waits as long as it takes.
            wait: seconds between two queries, at most: a backend that hears from its engine wakes
                the wait at once, and no sleep reaches past the deadline.
            callback: called after each query, the last one too, as
                ``callback(job_id, job_status, job)``.

        Raises:
            JobTimeoutError: ``timeout`` seconds have passed and the job has not ended.
            InvalidStatusError: ``status()`` returned something that is no status.

        What ``status()`` and ``callback`` raise passes through, save `BackendUnavailableError`: that
        is transient, so the wait backs off and asks again until the timeout.
        """
        from threading import Event

        deadline = None if timeout is None else time.monotonic() + timeout
        alarm = Event()
        release = self._on_change(alarm.set)
        failures = 0
        try:
            while True:
                alarm.clear()
                unavailable = None
                try:
                    status = self._ask_status()
                except BackendUnavailableError as error:
                    unavailable = error
                    failures += 1
                else:
                    failures = 0
                    if callback is not None:
                        callback(self.job_id(), status, self)
                    if status in JOB_FINAL_STATES:
                        return
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    seen = f"still {status.name}" if unavailable is None else "backend unavailable"
                    raise JobTimeoutError(
                        f"job {self.job_id()!r} has not ended within {timeout:g} s ({seen})"
                    ) from unavailable
                pause = backoff(failures, ceiling=max(wait, 1.0)) if failures else max(wait, 0.0)
                alarm.wait(pause if left is None else min(pause, left))
        finally:
            release()

    def _ask_status(self) -> JobStatus:
        """Ask, and let whoever keeps a record of the job know what was seen."""
        status = as_status(self.status(), self)
        if self._status_observer is not None:
            self._status_observer(status)
        return status

    def _on_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called whenever the backend hears that the job has changed.

        Returns what takes the request back. The backend of a plain job is told nothing.
        """
        return lambda: None

    def _on_final(self, callback: Callable[[JobStatus | BaseException], None]) -> Callable[[], None]:
        """Have ``callback`` called once, with the final status or with what asking for it raised.

        Returns what takes the request back. Jobs of task backends override this with the watcher
        of their backend; a plain job is asked by a thread that it shares with those of its backend.
        """
        from anyjob.tracking.plain_polling import poll

        return poll(self, callback)

    def __await__(self) -> Generator[Any, None, Any]:
        """``await job`` waits without blocking the event loop, and gives the result."""
        from anyjob.tracking.offload import after_final

        return after_final(self, self.result).__await__()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.job_id()!r}) on {self._backend!s}>"
