"""The asyncio twins: one of every call that can block.

None blocks the event loop, and none uses its default executor. Cancelling an await does not cancel
the job. ``await job`` gives a job's result.

Where a twin names a backend or finds a job, ``session`` says by which session; None is the default one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, ParamSpec, overload

from anyjob.backend import BaseBackend
from anyjob.errors import JobError
from anyjob.job import BaseJob
from anyjob.outcome import Outcome
from anyjob.outputs import job_logs, log_reading
from anyjob.provider import BaseProvider
from anyjob.session.facade import Session
from anyjob.specs import Spec, T
from anyjob.status import JobStatus
from anyjob.taskbackend import AnyBackend
from anyjob.taskjob import TaskJob
from anyjob.tracking.threads.offload import offload
from anyjob.tracking.waits import asynchronous, blocking
from anyjob.tracking.waits.blocking import J, Waited
from anyjob.tracking.waits.given_jobs import jobs_in

P = ParamSpec("P")
ALL_COMPLETED = blocking.ALL_COMPLETED
FIRST_COMPLETED = blocking.FIRST_COMPLETED


async def call(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Make any other blocking call on a thread of anyjob's own, and give what it returns.

    For what has no twin here: ``await aio.call(job.backend().status)``.
    """
    return await offload(partial(fn, *args, **kwargs))


# --- names, and work ------------------------------------------------------------------------------


def _of(session: Session | None) -> Session:
    if session is not None:
        return session
    from anyjob.session.default import default_session

    return default_session()


async def get_backend(
    name: str | None = None, *, session: Session | None = None, **options: Any
) -> AnyBackend:
    """Return the backend of this name: see `anyjob.Session.get_backend`."""
    return await offload(lambda: _of(session).get_backend(name, **options))


async def get_provider(name: str, *, session: Session | None = None) -> BaseProvider:
    """Return the provider of this name: see `anyjob.Session.get_provider`."""
    return await offload(lambda: _of(session).get_provider(name))


async def backends(*args: Any, session: Session | None = None, **filters: Any) -> list[Any]:
    """Return the backends that can be used: see `anyjob.Session.backends`."""
    return await offload(lambda: _of(session).backends(*args, **filters))


@overload
async def run(
    spec: Spec[T],
    backend: str | BaseBackend | None = None,
    *,
    session: Session | None = None,
    **resources: Any,
) -> TaskJob[T]: ...
@overload
async def run(
    spec: Callable[..., T],
    *args: Any,
    backend: str | BaseBackend | None = None,
    session: Session | None = None,
    **resources: Any,
) -> TaskJob[T]: ...
@overload
async def run(
    spec: str,
    *args: Any,
    backend: str | BaseBackend | None = None,
    session: Session | None = None,
    **resources: Any,
) -> TaskJob[Any]: ...
async def run(
    spec: Any, *args: Any, backend: Any = None, session: Session | None = None, **resources: Any
) -> TaskJob[Any]:
    """Hand one piece of work to a backend; returns its job: see `anyjob.Session.run`.

    Work on an ``inline`` backend runs on a thread of anyjob's own, 64 at a time. To cancel this await leaves
    open whether the work was handed over.
    """
    from anyjob.session.placement import place

    chosen, work, args = await offload(lambda: place(lambda: _of(session), spec, args, backend, resources))
    job: TaskJob[Any] = await offload(lambda: chosen.run(work, *args, **resources), chosen)
    return job


async def run_many(
    specs: Iterable[Spec[T]],
    backend: str | BaseBackend | None = None,
    *,
    session: Session | None = None,
    **resources: Any,
) -> list[TaskJob[T]]:
    """Hand many pieces of work to a backend at once; returns their jobs in order.

    None takes the default backend. Otherwise as the backend's ``run_many`` does.
    """
    chosen = await _backend(backend, session)
    return await offload(lambda: chosen.run_many(specs, **resources), chosen)


@overload
async def map(
    fn: Callable[..., T],
    *iterables: Iterable[Any],
    backend: str | BaseBackend | None = None,
    session: Session | None = None,
    **resources: Any,
) -> list[TaskJob[T]]: ...
@overload
async def map(
    fn: str,
    *iterables: Iterable[Any],
    backend: str | BaseBackend | None = None,
    session: Session | None = None,
    **resources: Any,
) -> list[TaskJob[Any]]: ...
async def map(
    fn: Callable[..., Any] | str,
    *iterables: Iterable[Any],
    backend: str | BaseBackend | None = None,
    session: Session | None = None,
    **resources: Any,
) -> list[TaskJob[Any]]:
    """Call ``fn`` with each item, as the builtin ``map`` does; returns the jobs in order.

    None takes the default backend. Otherwise as the backend's ``map`` does.
    """
    chosen = await _backend(backend, session)
    return await offload(lambda: chosen.map(fn, *iterables, **resources), chosen)


async def _backend(backend: str | BaseBackend | None, session: Session | None) -> AnyBackend:
    """Return the backend that is meant; where none is named, the default."""
    from anyjob.session.placement import given_backend

    if backend is not None and not isinstance(backend, str):
        return given_backend(lambda: _of(session), backend)
    return await get_backend(backend, session=session)


async def get_job(
    job_id: str, backend: str | BaseBackend | None = None, *, session: Session | None = None
) -> Any:
    """Return a handle on a job: see `anyjob.Session.get_job`."""
    return await offload(lambda: _of(session).get_job(job_id, backend))


async def jobs(
    name: str | None = None,
    state: str | JobStatus | Iterable[str | JobStatus] | None = None,
    backend: str | None = None,
    tags: Mapping[str, str] | None = None,
    since: float | str | datetime | timedelta | None = None,
    limit: int | None = None,
    superseded: bool = False,
    parameters: Mapping[str, Any] | None = None,
    *,
    session: Session | None = None,
) -> list[Any]:
    """Return handles on the jobs of a session that fit: see `anyjob.Session.jobs`."""
    find = _of(session).jobs
    return await offload(lambda: find(name, state, backend, tags, since, limit, superseded, parameters))


# --- one job --------------------------------------------------------------------------------------


async def status(job: BaseJob) -> JobStatus:
    """Ask where a job is.

    Raises:
        InvalidStatusError: its ``status()`` returned something that is no status.
    """
    return await offload(job._ask_status)


async def cancel(job: BaseJob, downstream: bool = True) -> Any:
    """Try to cancel a job. Return whether the cancel was accepted.

    Without ``downstream``, what starts after it does so without it: see `anyjob.TaskJob.cancel`.
    """
    if downstream or not isinstance(job, TaskJob):
        return await offload(job.cancel)
    return await offload(partial(job.cancel, downstream=False))


async def limit(
    name: str = "",
    most: int | None = None,
    *,
    tags: Mapping[str, str] | None = None,
    backend: str | BaseBackend | None = None,
    session: Session | None = None,
) -> Mapping[str, int]:
    """Limit how many jobs of a name, or with a tag, run at a time: see `anyjob.Session.limit`."""
    return await offload(lambda: _of(session).limit(name, most, tags=tags, backend=backend))


@overload
async def result(job: TaskJob[T], timeout: float | None = None) -> T: ...
@overload
async def result(job: BaseJob, timeout: float | None = None) -> Any: ...
async def result(job: BaseJob, timeout: float | None = None) -> Any:
    """Wait until a job has ended, and return its result, or raise what it raised.

    Raises:
        JobTimeoutError: it has not ended within ``timeout`` seconds; 0 asks once.
        JobCancelledError: it was cancelled.
        Exception: whatever the job's ``result()`` raises.
    """
    await asynchronous.wait_for_end(job, timeout)
    return await offload(job.result)


async def exception(job: TaskJob, timeout: float | None = None) -> BaseException | None:
    """Wait until a job has ended, and return what `result` would raise of its failure; None for a success.

    Raises:
        JobTimeoutError: it has not ended within ``timeout`` seconds; 0 asks once.
    """
    await asynchronous.wait_for_end(job, timeout)
    return await offload(job.exception)


async def outcome(job: TaskJob, timeout: float | None = None) -> Outcome:
    """Wait until a job has ended, and return what came of it, failure and cancel included.

    Raises:
        JobTimeoutError: it has not ended within ``timeout`` seconds; 0 asks once.
    """
    await asynchronous.wait_for_end(job, timeout)
    return await offload(job.outcome)


async def wait_for_final_state(
    job: BaseJob,
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
    await asynchronous.poll_until_final(job, timeout, wait, callback)


async def logs(
    job: TaskJob, stream: str = "stdout", follow: bool = False, attempt: int | None = None
) -> AsyncIterator[str]:
    """Yield what a job wrote, line by line, with line ends: the twin of `anyjob.TaskJob.logs`, which see.

    Raises:
        JobError: there is no such stream, or attempt, or the job keeps no logs.
    """
    splitter = log_reading.LineSplitter()
    async for chunk in log_bytes(job, stream, follow, attempt):
        for line in splitter.feed(chunk):
            yield line
    for line in splitter.rest():
        yield line


async def log_bytes(
    job: TaskJob, stream: str = "stdout", follow: bool = False, attempt: int | None = None
) -> AsyncIterator[bytes]:
    """As `logs`, in bytes, as they come."""
    if not isinstance(job, TaskJob):
        raise JobError(f"{job!r} keeps no logs: only jobs of task backends do")
    log_reading.check_stream(stream)
    read = await offload(lambda: job_logs.reader(job, stream, follow, attempt))
    async for chunk in asynchronous.log_chunks(job, read, follow):
        yield chunk


# --- many jobs ------------------------------------------------------------------------------------


async def fetch(
    job: TaskJob, *names: str | PathLike[str], into: str | PathLike[str] = ".", overwrite: bool = False
) -> list[Path]:
    """Copy files that a job has left; return where they are now: see `anyjob.TaskJob.fetch`."""
    return await offload(lambda: job.fetch(*names, into=into, overwrite=overwrite))


async def wait(
    jobs: Iterable[J], timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> Waited[J]:
    """Wait for jobs to end, in whichever way: the twin of `anyjob.wait`, which see.

    Raises:
        ValueError: ``return_when`` is neither ``ALL_COMPLETED`` nor ``FIRST_COMPLETED``.
    """
    blocking.check_return_when(return_when)
    jobs = blocking.unique(jobs)
    return blocking.sort_out(jobs, await asynchronous.wait(jobs, timeout, return_when))


def as_completed(jobs: Iterable[J], timeout: float | None = None) -> AsyncIterator[J]:
    """Yield jobs as they end, in whichever way: the twin of `anyjob.as_completed`, which see.

    Raises:
        JobTimeoutError: not all have ended within ``timeout`` seconds.
    """
    deadline = asynchronous.deadline_of(timeout)
    return asynchronous.as_completed(blocking.unique(jobs), timeout, deadline)


async def rerun(
    jobs: Iterable[TaskJob[T]],
    *,
    downstream: bool = False,
    session: Session | None = None,
    **resources: Any,
) -> list[TaskJob[T]]:
    """Submit jobs again; return the new jobs in order: see `anyjob.Session.rerun`."""
    again = jobs_in(jobs)
    return await offload(lambda: _of(session).rerun(again, downstream=downstream, **resources))


async def hold(jobs: Iterable[TaskJob]) -> list[bool]:
    """Keep waiting jobs from starting; say for each whether that was done: see `anyjob.Session.hold`."""
    return await _control("hold", jobs)


async def release(jobs: Iterable[TaskJob]) -> list[bool]:
    """Let held jobs start; say for each whether that was done: see `anyjob.Session.release`."""
    return await _control("release", jobs)


async def pause(jobs: Iterable[TaskJob]) -> list[bool]:
    """Suspend running jobs; say for each whether that was done: see `anyjob.Session.pause`."""
    return await _control("pause", jobs)


async def resume(jobs: Iterable[TaskJob]) -> list[bool]:
    """Let paused jobs go on; say for each whether that was done: see `anyjob.Session.resume`."""
    return await _control("resume", jobs)


async def set_priority(jobs: Iterable[TaskJob], priority: int) -> list[bool]:
    """Give waiting jobs another priority: see `anyjob.Session.set_priority`."""
    from anyjob.resources import check_priority

    return await _control("priority", jobs, check_priority(priority))


async def _control(what: str, jobs: Iterable[TaskJob], *more: Any) -> list[bool]:
    from anyjob.session.jobs.actions import control

    meant = jobs_in(jobs)
    return await offload(lambda: control(what, meant, *more))
