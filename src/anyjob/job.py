"""A job: a handle on one piece of work that was given to a backend.

The interface is that of ``BaseJob`` in Qiskit's original provider interface
(``qiskit.providers.BaseJob``, 0.7 to 0.17), with its meaning kept and its traps removed.
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod

from anyjob import _typing as t
from anyjob.errors import BackendUnavailableError, JobTimeoutError
from anyjob.status import JOB_FINAL_STATES, JobStatus, as_status, backoff

__all__ = ["JOB_FINAL_STATES", "BaseJob", "JobStatus", "as_status", "backoff"]


class BaseJob(ABC):
    """A handle on one piece of work that was given to a backend.

    Subclasses bring ``submit``, ``result``, ``cancel`` and ``status``. They may set ``_job_id``
    late (once the engine has given one) and take other constructor arguments than these.

    Args:
        backend: the backend that the work was given to.
        job_id: unique in the context of that backend.
    """

    _backend: t.Any = None
    _job_id: t.Any = None
    _status_observer: t.Any = None
    stands_for_result = True  # in the arguments of a call: see `anyjob.references`

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        theirs = getattr(sys.modules.get(cls.__module__), "JobTimeoutError", JobTimeoutError)
        if not (isinstance(theirs, type) and issubclass(theirs, JobTimeoutError)):
            import warnings

            warnings.warn(
                f"{cls.__module__} takes BaseJob from anyjob, and JobTimeoutError from "
                f"{getattr(theirs, '__module__', None)}, which no wait of {cls.__name__} raises: "
                "import JobTimeoutError from anyjob, too",
                stacklevel=2,
            )

    def __init__(self, backend: t.Any, job_id: str) -> None:
        self._backend = backend
        self._job_id = job_id

    @abstractmethod
    def submit(self) -> t.Any:
        """Hand the work to the backend.

        Returns:
            what the subclass says; most return None.

        Raises:
            JobError: it was submitted already.
            BackendError: the backend would not take it, or cannot be reached.
        """

    @abstractmethod
    def result(self) -> t.Any:
        """Return what came of the work; wait for it if need be.

        Returns:
            the result, in the form that the kind of work defines.

        Raises:
            JobCancelledError: the job was cancelled.
            JobFailedError: it has failed; ``reason`` says why.
            BackendError: the backend cannot give it.
        """

    @abstractmethod
    def cancel(self) -> t.Any:
        """Try to cancel the job.

        Returns:
            True where the cancel was accepted, which does not say that the job has ended. One that
            returns None says nothing: who wants to know asks for the status.

        Raises:
            BackendError: the backend cannot be asked to.
        """

    @abstractmethod
    def status(self) -> t.Any:
        """Ask where the job is.

        Returns:
            a `JobStatus`. Its name or value, and a member of another enum with such a name, will do.

        Raises:
            BackendUnavailableError: the backend cannot be reached now; it may be later.
            BackendError: it cannot tell in another way.
        """

    def backend(self) -> t.Any:
        """Return the backend that this job was given to.

        Returns:
            what the job was made with: a `BaseBackend`, as a rule.
        """
        return self._backend

    def job_id(self) -> str:
        """Return the id of the job.

        Returns:
            the id, unique in the context of the backend; empty as long as the backend has not given one.
        """
        return "" if self._job_id is None else str(self._job_id)

    def _reference(self) -> t.Any:
        from anyjob.references import ResultOf

        return ResultOf(self.job_id(), "", self)

    def cancelled(self) -> bool:
        """Ask whether the job has been cancelled.

        Returns:
            True where its status is `JobStatus.CANCELLED`.

        Raises:
            InvalidStatusError: ``status()`` returned something that is no status.
            BackendUnavailableError: the backend cannot be reached now; it may be later.
            BackendError: it cannot tell in another way: as ``status()`` does.
        """
        return self._ask_status() is JobStatus.CANCELLED

    def done(self) -> bool:
        """Ask whether the job has finished successfully.

        Returns:
            True where its status is `JobStatus.DONE`.

        Raises:
            InvalidStatusError: ``status()`` returned something that is no status.
            BackendUnavailableError: the backend cannot be reached now; it may be later.
            BackendError: it cannot tell in another way: as ``status()`` does.
        """
        return self._ask_status() is JobStatus.DONE

    def running(self) -> bool:
        """Ask whether the job is running.

        Returns:
            True where its status is `JobStatus.RUNNING`.

        Raises:
            InvalidStatusError: ``status()`` returned something that is no status.
            BackendUnavailableError: the backend cannot be reached now; it may be later.
            BackendError: it cannot tell in another way: as ``status()`` does.
        """
        return self._ask_status() is JobStatus.RUNNING

    def in_final_state(self) -> bool:
        """Ask whether the job has ended, in whichever way.

        Returns:
            True where its status is DONE, CANCELLED or ERROR: one of ``JOB_FINAL_STATES``.

        Raises:
            InvalidStatusError: ``status()`` returned something that is no status.
            BackendUnavailableError: the backend cannot be reached now; it may be later.
            BackendError: it cannot tell in another way: as ``status()`` does.
        """
        return self._ask_status() in JOB_FINAL_STATES

    def wait_for_final_state(
        self,
        timeout: float | None = None,
        wait: float = 5,
        callback: t.Callable[[str, JobStatus, t.Any], t.Any] | None = None,
    ) -> None:
        """Wait until the job has ended, in whichever way.

        Args:
            timeout: seconds to wait at most; 0 asks once; None waits as long as it takes.
            wait: seconds between two queries, at most: a backend that hears from its engine wakes
                the wait at once, and no sleep reaches past the deadline.
            callback: called after each query, the last one too, as
                ``callback(job_id, job_status, job)``; what it returns is ignored.

        Raises:
            JobTimeoutError: ``timeout`` seconds have passed and the job has not ended.
            InvalidStatusError: ``status()`` returned something that is no status.
            TypeError: ``timeout`` or ``wait`` is no number.
            ValueError: one of them is ``nan``.
            JobError: a hook or a callback waits on the thread that would have to tell it of the job.

        What ``status()`` and ``callback`` raise passes through, save `BackendUnavailableError`: that
        is transient, so the wait backs off and asks again until the timeout.
        """
        from threading import Event

        from anyjob.text.seconds import seconds, timeout_of
        from anyjob.tracking.threads.notifying_threads import check_may_wait

        timeout, wait = timeout_of(timeout), seconds(wait, "wait")
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
                    self._status_heard(status, wait)
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
                check_may_wait(self)
                alarm.wait(pause if left is None else min(pause, left))
        finally:
            release()

    def add_done_callback(self, callback: t.Callable[[t.Self], t.Any]) -> None:
        """Have a function called once the job has ended, in whichever way; at once or soon where it has.

        Args:
            callback: called once, as ``callback(job)``, on a thread of anyjob: it should be short. What it
                returns is ignored, and what it raises is reported by the logger ``anyjob``.

        Where asking for the status raises something other than `BackendUnavailableError`, nobody can know
        that the job ends: that is reported likewise, and the callback is not called.
        """

        def tell(said: JobStatus | BaseException) -> None:
            from anyjob.process.reporting import report

            if isinstance(said, BaseException):
                report(
                    "the end of %r is not known, so %r is not called",
                    self,
                    callback,
                    level="error",
                    error=said,
                )
                return
            try:
                callback(self)
            except Exception as error:  # of a user's callback: the others are called all the same
                report("%r, called as %r has ended, raised", callback, self, level="error", error=error)

        self._call_at_end(tell)

    def _ask_status(self) -> JobStatus:
        """Ask, and let whoever keeps a record of the job know what was seen."""
        status = as_status(self.status(), self)
        if self._status_observer is not None:
            self._status_observer(status)
        return status

    def _status_heard(self, status: JobStatus, wait: float) -> None:
        """Who else polls this job need not, as long as somebody asks every ``wait`` seconds."""
        polling: t.Any = sys.modules.get("anyjob.tracking.plain_polling")
        if hasattr(polling, "heard"):  # which it has not while another thread imports it
            polling.heard(self, status, wait)

    def _on_change(self, callback: t.Callable[[], None]) -> t.Callable[[], None]:
        """Have ``callback`` called whenever the backend hears that the job has changed.

        Returns what takes the request back. The backend of a plain job is told nothing.
        """
        return lambda: None

    def _on_final(self, callback: t.Callable[[JobStatus | BaseException], None]) -> t.Callable[[], None]:
        """Have ``callback`` called once, with the final status or with what asking for it raised.

        Returns what takes the request back. Jobs of task backends override this with the watcher
        of their backend; a plain job is asked by a thread that it shares with those of its backend.
        """
        from anyjob.tracking.plain_polling import poll

        return poll(self, callback)

    def _call_at_end(self, callback: t.Callable[[JobStatus | BaseException], t.Any]) -> None:
        """As `_on_final`, for a callback of the user, which may take long, and wait for other jobs."""
        from anyjob.tracking.threads.callback_threads import call_at_end

        call_at_end(self, callback)

    def _teller(self) -> object:
        """Return who tells of this job, by a thread that must not wait for it; None where nobody has to."""
        polling: t.Any = sys.modules.get("anyjob.tracking.plain_polling")
        return polling.poller_of(self) if hasattr(polling, "poller_of") else None

    def __await__(self) -> t.Generator[t.Any, None, t.Any]:
        """``await job`` waits without blocking the event loop, and gives the result.

        Raises:
            InvalidStatusError: ``status()`` returned something that is no status.
            Exception: whatever ``result()`` raises.
        """
        from anyjob.tracking.threads.offload import after_final
        from anyjob.tracking.threads.thread_loop import with_event_loop

        return after_final(self, with_event_loop(self.result)).__await__()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.job_id()!r}) on {self._backend!s}>"

    def _fields(self) -> dict[str, t.Any]:
        """Return what a notebook shows of it; nobody is asked for it."""
        return {"job": self._job_id, "backend": str(self._backend), "type": type(self).__name__}

    def _repr_html_(self) -> str:
        from anyjob.text.html_tables import card

        return card(self._fields())


class JobList(list["t.Any"]):
    """Jobs, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        from anyjob.text.html_tables import listing

        return listing(self, lambda job: job._fields(), "jobs")
