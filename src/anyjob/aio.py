"""The asyncio twins: one of every call that can block.

None blocks the event loop, and none uses its default executor. Cancelling an await does not cancel
the job. ``await job`` gives a job's result.

Where a twin names a backend or finds a job, ``session`` says by which session; None is the default one.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from anyjob.errors import BackendUnavailableError, JobError, JobTimeoutError
from anyjob.status import JOB_FINAL_STATES, JobStatus, as_status, backoff
from anyjob.tracking import waiting
from anyjob.tracking.offload import Landing, final, offload

if TYPE_CHECKING:
    from anyjob.backend import BaseBackend, BaseProvider
    from anyjob.session.facade import Session
    from anyjob.specs import Outcome, Spec
    from anyjob.tracking.waiting import Waited

ALL_COMPLETED = waiting.ALL_COMPLETED
FIRST_COMPLETED = waiting.FIRST_COMPLETED


async def call(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Make any other blocking call on a thread of anyjob's own, and give what it returns.

    For what has no twin here: ``await aio.call(job.backend().status)``.
    """
    return await offload(partial(fn, *args, **kwargs))


# --- names, and work ------------------------------------------------------------------------------


def _of(session: Session | None) -> Session:
    if session is not None:
        return session
    from anyjob.session.facade import default_session

    return default_session()


async def get_backend(name: str | None = None, *, session: Session | None = None, **options: Any) -> Any:
    """Return the backend of this name: see `anyjob.Session.get_backend`."""
    return await offload(lambda: _of(session).get_backend(name, **options))


async def get_provider(name: str, *, session: Session | None = None) -> BaseProvider:
    """Return the provider of this name: see `anyjob.Session.get_provider`."""
    provider: BaseProvider = await offload(lambda: _of(session).get_provider(name))
    return provider


async def backends(*args: Any, session: Session | None = None, **filters: Any) -> list[Any]:
    """Return the backends that can be used: see `anyjob.Session.backends`."""
    found: list[Any] = await offload(lambda: _of(session).backends(*args, **filters))
    return found


async def run(
    spec: Spec,
    backend: str | BaseBackend | None = None,
    *,
    session: Session | None = None,
    **resources: Any,
) -> Any:
    """Hand one piece of work to a backend; returns its job: see `anyjob.Session.run`.

    Work on an ``inline`` backend runs on a thread of anyjob's own. To cancel this await leaves open
    whether the work was handed over.
    """
    return await offload(lambda: _of(session).run(spec, backend, **resources))


async def run_many(
    specs: Iterable[Spec],
    backend: str | BaseBackend | None = None,
    *,
    session: Session | None = None,
    **resources: Any,
) -> list[Any]:
    """Hand many pieces of work to a backend at once; returns their jobs in order.

    None takes the default backend. Otherwise as the backend's ``run_many`` does.
    """

    def submit() -> list[Any]:
        jobs: list[Any] = _backend(backend, session).run_many(specs, **resources)
        return jobs

    return list(await offload(submit))


async def map(
    fn: Callable[..., Any],
    *iterables: Iterable[Any],
    backend: str | BaseBackend | None = None,
    session: Session | None = None,
    **resources: Any,
) -> list[Any]:
    """Call ``fn`` with each item, as the builtin ``map`` does; returns the jobs in order.

    None takes the default backend. Otherwise as the backend's ``map`` does.
    """

    def submit() -> list[Any]:
        jobs: list[Any] = _backend(backend, session).map(fn, *iterables, **resources)
        return jobs

    return list(await offload(submit))


def _backend(backend: str | BaseBackend | None, session: Session | None) -> Any:
    return _of(session).get_backend(backend) if backend is None or isinstance(backend, str) else backend


async def get_job(
    job_id: str, backend: str | BaseBackend | None = None, *, session: Session | None = None
) -> Any:
    """Return a handle on a job: see `anyjob.Session.get_job`."""
    return await offload(lambda: _of(session).get_job(job_id, backend))


async def jobs(*, session: Session | None = None) -> list[Any]:
    """Return handles on the jobs of a session: see `anyjob.Session.jobs`."""
    found: list[Any] = await offload(lambda: _of(session).jobs())
    return found


# --- one job --------------------------------------------------------------------------------------


async def status(job: Any) -> JobStatus:
    """Ask where a job is.

    Raises:
        InvalidStatusError: its ``status()`` returned something that is no status.
    """
    return as_status(await offload(job.status))


async def cancel(job: Any) -> Any:
    """Try to cancel a job. Return whether the cancel was accepted."""
    return await offload(job.cancel)


async def result(job: Any, timeout: float | None = None) -> Any:
    """Wait until a job has ended, and return its result, or raise what it raised.

    Raises:
        JobTimeoutError: it has not ended within ``timeout`` seconds; 0 asks once.
        JobCancelledError: it was cancelled.
        Exception: whatever the job's ``result()`` raises.
    """
    await _end(job, timeout)
    return await offload(job.result)


async def exception(job: Any, timeout: float | None = None) -> BaseException | None:
    """Wait until a job has ended, and return what `result` would raise of its failure; None for a success.

    Raises:
        JobTimeoutError: it has not ended within ``timeout`` seconds; 0 asks once.
    """
    await _end(job, timeout)
    error: BaseException | None = await offload(job.exception)
    return error


async def outcome(job: Any, timeout: float | None = None) -> Outcome:
    """Wait until a job has ended, and return what came of it, failure and cancel included.

    Raises:
        JobTimeoutError: it has not ended within ``timeout`` seconds; 0 asks once.
    """
    await _end(job, timeout)
    came_of_it: Outcome = await offload(job.outcome)
    return came_of_it


async def _end(job: Any, timeout: float | None) -> None:
    if timeout is not None and timeout <= 0:
        ended = bool(await offload(lambda: waiting.ended_now([job])))
    else:
        try:
            async with asyncio.timeout(timeout) as limit:
                await final(job)
        except TimeoutError:
            if not limit.expired():
                raise  # what asking for the status raised
            ended = False
        else:
            ended = True
    if not ended:
        raise JobTimeoutError(f"job {job.job_id()!r} has not ended within {timeout:g} s")


async def wait_for_final_state(
    job: Any,
    timeout: float | None = None,
    wait: float = 5,
    callback: Callable[[str, JobStatus, Any], Any] | None = None,
) -> None:
    """Wait until a job has ended: the twin of `anyjob.BaseJob.wait_for_final_state`, which see.

    ``callback`` is called in the thread of the event loop, after each query; what it returns is
    awaited where that can be.

    Raises:
        JobTimeoutError: ``timeout`` seconds have passed and the job has not ended.
        InvalidStatusError: ``status()`` returned something that is no status.
    """
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    failures = 0
    with _Changes(job) as changes:
        while True:
            seen = await _ask(job)
            if isinstance(seen, JobStatus):
                failures = 0
                if callback is not None:
                    said = callback(job.job_id(), seen, job)
                    if inspect.isawaitable(said):
                        await said
                if seen in JOB_FINAL_STATES:
                    return
            else:
                failures += 1
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                state = f"still {seen.name}" if isinstance(seen, JobStatus) else "backend unavailable"
                raise JobTimeoutError(
                    f"job {job.job_id()!r} has not ended within {timeout:g} s ({state})"
                ) from (None if isinstance(seen, JobStatus) else seen)
            pause = backoff(failures, ceiling=max(wait, 1.0)) if failures else max(wait, 0.0)
            await changes.next(pause if left is None else min(pause, left))


async def _ask(job: Any) -> JobStatus | BackendUnavailableError:
    try:
        return await status(job)
    except BackendUnavailableError as error:
        return error


class _Changes:
    """While it is entered, a job's backend tells of its changes; one that is never told stays silent."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self._landing = Landing()

    def __enter__(self) -> _Changes:
        self._release = self._job._on_change(lambda: self._landing.give(None))
        return self

    def __exit__(self, *exc: object) -> None:
        self._release()

    async def next(self, timeout: float) -> None:
        """Sleep until the next change since the last one was awaited, and at most for ``timeout`` seconds."""
        await asyncio.wait([self._landing.value], timeout=timeout)
        self._landing = Landing()


async def logs(job: Any, stream: str = "stdout", follow: bool = False) -> AsyncIterator[str]:
    """Yield what a job wrote, line by line, with line ends.

    Args:
        job: a job of a task backend.
        stream: ``stdout`` or ``stderr``.
        follow: go on until the job has ended; else stop at what there is now.

    Raises:
        JobError: there is no such stream, or the job keeps no logs.
    """
    pending = b""
    async for chunk in log_bytes(job, stream, follow):
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace") + "\n"
    if pending:
        yield pending.decode("utf-8", "replace")


async def log_bytes(job: Any, stream: str = "stdout", follow: bool = False) -> AsyncIterator[bytes]:
    """As `logs`, in bytes, as they come."""
    from anyjob.jobtypes import TaskJob

    if not isinstance(job, TaskJob):
        raise JobError(f"{job!r} keeps no logs: only jobs of task backends do")
    if stream not in ("stdout", "stderr"):
        raise JobError(f"a job has a stdout and a stderr, and no stream {stream!r}")
    offset = 0
    pause = 0.01
    end = asyncio.ensure_future(final(job) if follow else asyncio.sleep(0))
    try:
        while True:
            # Asked first, read second: what was written before the end is not missed.
            ended = end.done() or not follow
            chunk = await offload(partial(job._backend.logs, job._record.ticket(), stream, offset))
            if chunk:
                yield chunk
                offset += len(chunk)
                pause = 0.01
            elif ended:
                if follow:
                    end.result()  # raises what asking for the job raised
                return
            else:
                await asyncio.wait([end], timeout=pause)
                pause = min(pause * 1.5, 0.25)
    finally:
        end.cancel()


# --- many jobs ------------------------------------------------------------------------------------


async def wait(jobs: Iterable[Any], timeout: float | None = None, return_when: str = ALL_COMPLETED) -> Waited:
    """Wait for jobs to end, in whichever way: the twin of `anyjob.wait`, which see.

    Raises:
        ValueError: ``return_when`` is neither ``ALL_COMPLETED`` nor ``FIRST_COMPLETED``.
    """
    waiting.check_return_when(return_when)
    jobs = waiting.unique(jobs)
    if timeout is not None and timeout <= 0:
        return waiting.sort_out(jobs, await offload(lambda: waiting.ended_now(jobs)))
    deadline = _deadline(timeout)
    ended: list[Any] = []
    with waiting.Subscription(jobs, ends := _Ends()):
        while len(ended) < len(jobs):
            enough = ended and return_when == FIRST_COMPLETED
            job = ends.get_nowait() if enough else await ends.get(deadline)
            if job is None:
                break
            ended.append(job)
    return waiting.sort_out(jobs, ended)


def as_completed(jobs: Iterable[Any], timeout: float | None = None) -> AsyncIterator[Any]:
    """Yield jobs as they end, in whichever way: the twin of `anyjob.as_completed`, which see.

    Raises:
        JobTimeoutError: not all have ended within ``timeout`` seconds.
    """
    return _as_completed(waiting.unique(jobs), timeout, _deadline(timeout))


async def _as_completed(jobs: list[Any], timeout: float | None, deadline: float | None) -> AsyncIterator[Any]:
    left = len(jobs)
    if timeout is not None and timeout <= 0:
        for job in await offload(lambda: waiting.ended_now(jobs)):
            left -= 1
            yield job
    else:
        with waiting.Subscription(jobs, ends := _Ends()):
            while left and (job := await ends.get(deadline)) is not None:
                left -= 1
                yield job
    if left:
        raise waiting.late(left, len(jobs), timeout)


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else asyncio.get_running_loop().time() + timeout


class _Ends:
    """The ends of some jobs, in the order in which the loop hears of them."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[Any, Any]] = asyncio.Queue()

    def put(self, end: tuple[Any, Any]) -> None:
        """Take one in, from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, end)
        except RuntimeError:
            pass  # the loop has closed: nobody waits any more

    async def get(self, deadline: float | None) -> Any:
        """Return the next job that has ended; None where none has until the deadline."""
        try:
            async with asyncio.timeout_at(deadline):
                end = await self._queue.get()
        except TimeoutError:
            return None
        return _job_of(*end)

    def get_nowait(self) -> Any:
        """Return the next of those that were heard of already; None where there is none."""
        return None if self._queue.empty() else _job_of(*self._queue.get_nowait())


def _job_of(job: Any, said: Any) -> Any:
    if isinstance(said, BaseException):
        raise said
    return job
