"""Waits in an event loop, without blocking it: for the end or changes of jobs, and for what one writes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from anyjob.errors import BackendUnavailableError, JobTimeoutError
from anyjob.outputs import log_reading
from anyjob.status import JOB_FINAL_STATES, JobStatus, backoff
from anyjob.text.seconds import seconds, timeout_of
from anyjob.tracking.threads.offload import ThreadsafeFuture, final_status, offload
from anyjob.tracking.threads.thread_loop import with_event_loop
from anyjob.tracking.waits import blocking
from anyjob.tracking.waits.blocking import J

# --- one job --------------------------------------------------------------------------------------


async def wait_for_end(job: Any, timeout: float | None) -> None:
    """Wait until a job has ended.

    Raises:
        JobTimeoutError: it has not ended within ``timeout`` seconds; 0 asks once.
    """
    timeout = timeout_of(timeout)
    if timeout is not None and timeout <= 0:
        ended = bool(await offload(lambda: blocking.ended_now([job])))
    else:
        try:
            async with asyncio.timeout(timeout) as limit:
                await final_status(job)
        except TimeoutError:
            if not limit.expired():
                raise  # what asking for the status raised
            ended = False
        else:
            ended = True
    if not ended:
        raise JobTimeoutError(f"job {job.job_id()!r} has not ended within {timeout:g} s")


async def poll_until_final(
    job: Any, timeout: float | None, wait: float, callback: Callable[[str, JobStatus, Any], Any] | None
) -> None:
    """Ask for a job's status until it has ended: see `anyjob.aio.wait_for_final_state`."""
    timeout, wait = timeout_of(timeout), seconds(wait, "wait")
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    failures = 0
    with _Changes(job) as changes:
        while True:
            seen = await _ask(job)
            if isinstance(seen, JobStatus):
                failures = 0
                job._status_heard(seen, wait)
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
        return await offload(with_event_loop(job._ask_status))
    except BackendUnavailableError as error:
        return error


class _Changes:
    """While it is entered, a job's backend tells of its changes; one that is never told stays silent."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self._change = ThreadsafeFuture[None]()

    def __enter__(self) -> _Changes:
        self._unsubscribe = self._job._on_change(lambda: self._change.set(None))
        return self

    def __exit__(self, *exc: object) -> None:
        self._unsubscribe()

    async def next(self, timeout: float) -> None:
        """Sleep until the next change since the last one was awaited, and at most for ``timeout`` seconds."""
        await asyncio.wait([self._change.future], timeout=timeout)
        self._change = ThreadsafeFuture()


async def log_chunks(job: Any, read: Callable[[int], bytes], follow: bool) -> AsyncIterator[bytes]:
    """Yield what a job writes; ``read`` returns what there is from an offset on."""
    offset = 0
    pause = log_reading.FIRST_PAUSE
    end = asyncio.ensure_future(final_status(job) if follow else asyncio.sleep(0))
    try:
        while True:
            # Asked first, read second: what was written before the end is not missed.
            is_last = end.done() or not follow
            chunk = await offload(partial(read, offset))
            if chunk:
                yield chunk
                offset += len(chunk)
                pause = log_reading.FIRST_PAUSE
            elif is_last:
                if follow:
                    end.result()  # raises what asking for the job raised
                return
            else:
                await asyncio.wait([end], timeout=pause)
                pause = log_reading.longer(pause)
    finally:
        end.cancel()


# --- many jobs ------------------------------------------------------------------------------------


async def wait(jobs: list[J], timeout: float | None, return_when: str) -> list[J]:
    """Wait for jobs, each given once, to end; return those that have: see `anyjob.aio.wait`."""
    timeout = timeout_of(timeout)
    if timeout is not None and timeout <= 0:
        return await offload(lambda: blocking.ended_now(jobs))
    deadline = deadline_of(timeout)
    ended: list[J] = []
    with blocking.Subscription(jobs, ends := _Ends()):
        while len(ended) < len(jobs):
            enough = ended and return_when == blocking.FIRST_COMPLETED
            job = ends.get_nowait() if enough else await ends.get(deadline)
            if job is None:
                break
            ended.append(job)
    return ended


async def as_completed(jobs: list[J], timeout: float | None, deadline: float | None) -> AsyncIterator[J]:
    """Yield jobs, each given once, as they end: see `anyjob.aio.as_completed`."""
    left = len(jobs)
    if timeout is not None and timeout <= 0:
        for job in await offload(lambda: blocking.ended_now(jobs)):
            left -= 1
            yield job
    else:
        with blocking.Subscription(jobs, ends := _Ends()):
            while left and (job := await ends.get(deadline)) is not None:
                left -= 1
                yield job
    if left:
        raise blocking.late(left, len(jobs), timeout)


def deadline_of(timeout: float | None) -> float | None:
    """Return when so many seconds will have passed, by the time of the running loop."""
    timeout = timeout_of(timeout)
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
