"""Waits for many jobs at once, of any mix of backends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from anyjob import _typing as t
from anyjob.errors import BackendUnavailableError, JobTimeoutError
from anyjob.text.seconds import timeout_of
from anyjob.tracking.threads.notifying_threads import check_may_wait
from anyjob.tracking.waits.given_jobs import jobs_in

if TYPE_CHECKING:
    from anyjob.progress_display.shown_wait import ShownWait
    from anyjob.status import JobStatus

J = TypeVar("J", bound="t.BaseJob")

FIRST_COMPLETED = "FIRST_COMPLETED"
ALL_COMPLETED = "ALL_COMPLETED"


_Queue = SimpleQueue[tuple[Any, Any]]


class Waited(NamedTuple, Generic[J]):
    """What `wait` returns: the jobs that have ended, and those that have not, each in the order given."""

    done: list[J]
    not_done: list[J]


class Completed(Iterator[J]):
    """Jobs as they end; ``len`` is how many there are in all, which is what bars such as tqdm's ask for."""

    def __init__(self, ended: Iterator[J], total: int) -> None:
        self._ended, self._total = ended, total

    def __next__(self) -> J:
        return next(self._ended)

    def __len__(self) -> int:
        return self._total


def as_completed(jobs: Iterable[J], timeout: float | None = None, *, progress: bool = False) -> Completed[J]:
    """Yield jobs as they end, in whichever way.

    Args:
        jobs: of any mix of backends, plain jobs among them. One given twice is yielded once.
        timeout: seconds from now after which those that have not ended raise; 0 asks each once.
        progress: show how far they are: by a bar on a terminal or in a notebook, else by a line a minute.

    Raises:
        JobTimeoutError: not all have ended within ``timeout`` seconds.

    What asking for a job's status raises passes through, save `BackendUnavailableError`: that is
    transient, and the wait goes on.
    """
    timeout = timeout_of(timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    jobs = unique(jobs)
    return Completed(_as_completed(jobs, timeout, deadline, progress), len(jobs))


def _as_completed(
    jobs: list[J], timeout: float | None, deadline: float | None, progress: bool
) -> Iterator[J]:
    if timeout is not None and timeout <= 0:
        ended = ended_now(jobs)
        yield from ended
        left = len(jobs) - len(ended)
    else:
        left = len(jobs)
        queue = _Queue()
        with Subscription(jobs, queue), _shown(jobs, progress) as shown:
            while left and (job := _next(queue, deadline, shown)) is not None:
                left -= 1
                yield job
    if left:
        raise late(left, len(jobs), timeout)


def wait(
    jobs: Iterable[J],
    timeout: float | None = None,
    return_when: str = ALL_COMPLETED,
    *,
    progress: bool = False,
) -> Waited[J]:
    """Wait for jobs to end, in whichever way.

    Args:
        jobs: of any mix of backends, plain jobs among them.
        timeout: seconds to wait at most; then those that have not ended are in ``not_done``. 0 asks
            each once.
        return_when: ``ALL_COMPLETED``, or ``FIRST_COMPLETED`` to return as soon as one has ended.
        progress: show how far they are, as in `as_completed`.

    Returns:
        the jobs that have ended, and those that have not.

    Raises:
        ValueError: ``return_when`` is something else.

    What asking for a job's status raises passes through, as in `as_completed`.
    """
    check_return_when(return_when)
    timeout = timeout_of(timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    jobs = unique(jobs)
    if timeout is not None and timeout <= 0:
        return sort_out(jobs, ended_now(jobs))
    ended: list[J] = []
    queue = _Queue()
    with Subscription(jobs, queue), _shown(jobs, progress) as shown:
        while len(ended) < len(jobs):
            enough = ended and return_when == FIRST_COMPLETED
            job = _next(queue, 0 if enough else deadline, shown)
            if job is None:
                break
            ended.append(job)
    return sort_out(jobs, ended)


@contextmanager
def _shown(jobs: list[Any], progress: bool) -> Iterator[ShownWait | None]:
    """While it is entered, it is shown how far some jobs are, if that is wanted."""
    if not progress:
        yield None
        return
    from anyjob.progress_display.shown_wait import ShownWait

    shown = ShownWait(jobs)
    try:
        yield shown
    finally:
        shown.close()


def _next(queue: _Queue, deadline: float | None, shown: ShownWait | None) -> Any:
    """Return the next job that has ended; None where none has until the deadline (0: now)."""
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        pause = left
        if shown is not None:
            shown.tick()
            pause = shown.interval if left is None else min(left, shown.interval)
        try:
            job, said = queue.get(timeout=pause)
        except Empty:
            if pause == left:
                return None
            continue
        if isinstance(said, BaseException):
            raise said
        if shown is not None:
            shown.end(cast("JobStatus", said))
        return job


class Subscription:
    """While it is entered, each end of a job is put into a queue, with what was said of it."""

    def __init__(self, jobs: Iterable[Any], queue: Any) -> None:
        self._jobs = jobs
        self._put: Callable[[tuple[Any, Any]], object] = queue.put
        self._forget: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        put = self._put
        try:
            for job in self._jobs:
                check_may_wait(job)
                self._forget.append(job._on_final(lambda said, job=job: put((job, said))))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exc: object) -> None:
        for forget in self._forget:
            forget()


def unique(jobs: Iterable[J]) -> list[J]:
    """Return each handle once, in the order given."""
    return list({id(job): job for job in jobs_in(jobs)}.values())


def ended_now(jobs: Iterable[J]) -> list[J]:
    """Ask each job once; return those that have ended."""
    return [job for job in jobs if _has_ended(job)]


def _has_ended(job: Any) -> bool:
    try:
        return bool(job.in_final_state())
    except BackendUnavailableError:
        return False  # as far as anybody can know now


def sort_out(jobs: Iterable[J], ended: Iterable[J]) -> Waited[J]:
    """Tell the jobs that have ended from the others."""
    known = {id(job) for job in ended}
    done: list[J] = []
    not_done: list[J] = []
    for job in jobs:
        (done if id(job) in known else not_done).append(job)
    return Waited(done, not_done)


def check_return_when(return_when: str) -> None:
    """Refuse what is none of the two."""
    if return_when not in (ALL_COMPLETED, FIRST_COMPLETED):
        raise ValueError(f"return_when is {ALL_COMPLETED!r} or {FIRST_COMPLETED!r}, not {return_when!r}")


def late(left: int, total: int, timeout: float | None) -> JobTimeoutError:
    """Make the error that says how many jobs have not ended in time."""
    return JobTimeoutError(f"{left} of {total} jobs have not ended within {timeout:g} s")
