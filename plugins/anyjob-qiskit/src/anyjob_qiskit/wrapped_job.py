"""A job of a foreign Qiskit provider as a `BaseJob`, with all of the semantics of one."""

from __future__ import annotations

import copy
from typing import Any, NoReturn

from anyjob import BaseJob, JobCancelledError, JobError, JobFailedError, JobStatus
from anyjob_qiskit.devices.provider_errors import translating_errors
from anyjob_qiskit.devices.statuses import accepts_cancel, message_of, position_of, reason_of, status_of


def wrap(job: Any, backend: Any = None) -> WrappedJob:
    """Return a job of Qiskit's (``JobV1``, a runtime job, a primitive job) as one that anyjob can wait for.

    Args:
        job: one that was submitted.
        backend: what `backend()` is to give; by default what the job says.
    """
    return WrappedJob(job, backend)


class WrappedJob(BaseJob):
    """A job of a foreign provider, with that provider's oddities taken away.

    It takes part in `anyjob.wait`, `anyjob.as_completed` and ``await``. See `wrap`.
    """

    def __init__(self, job: Any, backend: Any = None) -> None:
        super().__init__(_backend_of(job) if backend is None else backend, "")
        self._job = job

    @property
    def wrapped(self) -> Any:
        """The provider's own job."""
        return self._job

    def job_id(self) -> str:
        """Return the provider's id; empty as long as it has given none."""
        found = self._job.job_id()
        return "" if found is None else str(found)

    def submit(self) -> NoReturn:
        """A job is wrapped when it was submitted.

        Raises:
            JobError: always.
        """
        raise JobError(f"job {self.job_id()!r} was submitted before it was wrapped")

    def status(self) -> JobStatus:
        """Ask the provider where the job is.

        Raises:
            InvalidStatusError: it says what is no status.
            BackendUnavailableError: it cannot be reached; waits go on.
        """
        with self._translating_errors():
            answer = self._job.status()
        return status_of(answer, self)

    def queue_position(self) -> int | None:
        """Return how many jobs are before this one; None where the provider does not tell."""
        return position_of(self._job)

    def error_message(self) -> str:
        """Return why the job has failed, in the provider's words; empty where it has none."""
        return message_of(self._job)

    def cancel(self) -> bool:
        """Try to cancel the job. Return whether that was accepted; False for one that has ended."""
        if self.in_final_state():
            return False
        with self._translating_errors():
            return accepts_cancel(self._job)

    def result(self, timeout: float | None = None) -> Any:
        """Wait until the job has ended, and return its result: a copy, whether the provider keeps it or not.

        Raises:
            JobTimeoutError: it has not ended within ``timeout`` seconds.
            JobCancelledError: it was cancelled.
            JobFailedError: it has failed.
        """
        self.wait_for_final_state(timeout, wait=1)
        with self._translating_errors():
            answer = self._job.status()
        status = status_of(answer, self)
        if status is JobStatus.CANCELLED:
            raise JobCancelledError(f"job {self.job_id()!r} was cancelled")
        if status is JobStatus.ERROR:
            raise self._failure(reason_of(answer), self.error_message())
        try:
            with self._translating_errors():
                found = self._job.result()
        except Exception as error:
            if type(error).__module__.startswith("anyjob."):
                raise
            raise self._failure("exception", str(error)) from error
        if getattr(found, "success", True) is False:
            raise self._failure("exception", str(getattr(found, "status", "")))
        return copy.deepcopy(found)

    def _failure(self, reason: str, message: str) -> JobFailedError:
        return JobFailedError(
            f"job {self.job_id()!r} failed ({reason}): {message or 'its provider does not say why'}",
            reason=reason,
        )

    def _translating_errors(self) -> Any:
        return translating_errors(str(self._backend))


def _backend_of(job: Any) -> Any:
    try:
        return job.backend()
    except Exception:  # some have none, and say so by whatever comes to hand
        return None
