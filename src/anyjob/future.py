"""The futures of `anyjob.Executor`: each is done when its job has ended."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from anyjob.errors import BackendError, BackendUnavailableError, DependencyFailedError
from anyjob.process import forks
from anyjob.specs import T
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.references import ResultOf
    from anyjob.taskjob import TaskJob


class JobFuture(Future[T]):
    """A future of `Executor`.

    ``cancel()`` cancels a job that has not begun, and returns False for one that runs, as the standard
    library has it; ``future.job.cancel()`` ends one that runs too, where the backend can.
    """

    stands_for_result = True  # in the arguments of a call: see `anyjob.references`

    def __init__(self) -> None:
        self._generation = forks.generation
        super().__init__()
        self._job: TaskJob[T] | None = None
        self._has_job: threading.Event | None = None
        self._told = threading.Lock()  # taken once: by who tells that it is cancelled

    @property
    def job(self) -> TaskJob[T] | None:
        """A handle on the job, or None where none came to be. It waits until the backend was handed it."""
        if not self.done() and self._has_job is not None:
            self._has_job.wait()
        return self._job

    @property
    def is_handed_over(self) -> bool:
        """Whether its job has come, or none will."""
        return self._job is not None or self._has_job is None or self._has_job.is_set() or self.done()

    def _reference(self) -> ResultOf:
        job = self.job
        if job is None:
            error = DependencyFailedError(
                "the result of a future, which is an argument, is not to be had: its work was not handed over"
            )
            error.__cause__ = None if self.cancelled() else self.exception()
            raise error
        return job._reference()

    def await_job(self) -> None:
        """The job is to come: `told_of` is called with it, on another thread."""
        self._has_job = threading.Event()

    def told_of(self, job: TaskJob[T] | BaseException) -> None:
        """The job has come, or an error in place of it."""
        if isinstance(job, BaseException):
            self.fail(job)
        else:
            self.follow(job)

    @property
    def _condition(self) -> threading.Condition:
        """What every use of a future begins with: in a child of a fork, its job is followed anew before.

        What was to be called when it is done is the parent's to call.
        """
        if self._generation != forks.generation:
            self._generation = forks.generation
            vars(self).update(
                _own_condition=threading.Condition(), _told=threading.Lock(), _waiters=[], _done_callbacks=[]
            )
            self._has_job = None  # nobody here would tell of it
            if not self.done():
                self._follow_here()
        return self._own_condition

    @_condition.setter
    def _condition(self, made: threading.Condition) -> None:
        self._own_condition = made

    def _follow_here(self) -> None:
        try:
            if self._job is None:
                raise BackendError("this process was forked off while another thread handed over this work")
            self._job._call_at_end(self._ended)
        except Exception as error:  # raised by whoever asks the future
            self.fail(error)

    def cancel(self) -> bool:
        """Cancel the job if it has not begun. Return whether it is cancelled.

        One whose backend cannot be reached now is not.
        """
        cancel_pending([self])
        return self.cancelled()

    def running(self) -> bool:
        """Ask whether the job runs; while the backend cannot be reached, whether it did when last asked."""
        job = self._job
        if job is None or self.done():
            return False
        try:
            return job.running()
        except BackendUnavailableError:
            return bool(job.metadata()["status"] == JobStatus.RUNNING.name)

    def follow(self, job: TaskJob[T]) -> None:
        """Be done when this job has ended."""
        self._job = job
        if self._has_job is not None:
            self._has_job.set()
        if self._told.locked():
            job.cancel()  # in the short while in which there was no job to cancel
        job._call_at_end(self._ended)

    def _ended(self, said: JobStatus | BaseException) -> None:
        job = self._job
        assert job is not None
        if said is JobStatus.CANCELLED:
            self.set_cancelled()
        elif isinstance(said, BaseException):
            self.fail(said)
        else:
            try:
                error = job.exception()
                value = job.result() if error is None else None
            except BaseException as raised:
                self.fail(raised.with_traceback(None))  # which would only show the insides of this
            else:
                if error is None:
                    self._succeed(cast(T, value))
                else:
                    self.fail(error)

    def _succeed(self, value: T) -> None:
        try:
            self.set_result(value)
        except InvalidStateError:
            pass  # cancelled meanwhile

    def fail(self, error: BaseException) -> None:
        """Be done, with this error, unless it is done already."""
        if self._has_job is not None:
            self._has_job.set()
        if isinstance(
            error, StopIteration
        ):  # a future of asyncio takes none, and is never done before Python 3.12
            stopped, error = error, RuntimeError("the call raised StopIteration")
            error.__cause__ = stopped
        try:
            self.set_exception(error)
        except InvalidStateError:
            pass

    def set_cancelled(self) -> None:
        """Be done, as cancelled, unless it is done already."""
        if self._told.acquire(blocking=False) and super().cancel():
            self.set_running_or_notify_cancel()
            if self._job is None and self._has_job is not None:
                self._has_job.set()  # none comes


def cancel_pending(futures: Iterable[JobFuture[Any]]) -> None:
    """Cancel those whose jobs have not begun, by one call to the backend."""
    pending = [future for future in futures if not future.done()]
    jobs = [future._job for future in pending if future._job is not None]
    accepted: dict[Any, bool] = {}
    if jobs:
        tracker, backend = jobs[0]._record.tracker, jobs[0].backend()
        with suppress(BackendUnavailableError):  # then what was heard last counts
            tracker.ask_all([job._record for job in jobs])
        jobs = [job for job in jobs if job._record.status is not JobStatus.RUNNING]
        with suppress(BackendUnavailableError):
            accepted = dict(zip(jobs, backend.cancel_many(jobs), strict=True))
    for future in pending:
        if future._job is None or accepted.get(future._job):
            future.set_cancelled()
