"""Blocking calls from async code, on threads of our own.

Never on the event loop's default executor: that one belongs to the program.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

from anyjob.process.forks import in_each_process
from anyjob.process.plugin_thread import PluginThread
from anyjob.tracking.threads import thread_loop
from anyjob.tracking.threads.notifying_threads import check_may_wait

if TYPE_CHECKING:
    from anyjob.status import JobStatus

T = TypeVar("T")

LIMIT = 64
"""Threads of a pool, at most. What runs on them asks, reads or submits; none of it waits for a job to end."""
IDLE = 10.0
"""Seconds after which a thread with nothing to do ends."""


class _ThreadPool:
    """A daemon thread for each call under way, up to a limit: one that hangs does not keep the program
    from ending, as those of a `ThreadPoolExecutor` would."""

    def __init__(self) -> None:
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._changed = threading.Condition()
        self._calls: deque[Callable[[], None]] = deque()
        self._count = self._idle = 0

    def start(self, call: Callable[[], None]) -> None:
        """Have a call made soon; it must not raise."""
        with self._changed:
            self._calls.append(call)
            # An idle thread that is told of a call counts as idle until it takes it.
            if len(self._calls) <= self._idle or self._count >= LIMIT:
                self._changed.notify()
                return
            self._count += 1
        PluginThread(self._work, "anyjob-offload").start()

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call()
            del call  # an idle thread holds on to nothing
        thread_loop.release()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._calls:
                self._idle += 1
                told = self._changed.wait(IDLE)
                self._idle -= 1
                if not told and not self._calls:
                    self._count -= 1
                    return None
            return self._calls.popleft()


class _Pools:
    """One for questions, and one for each backend that is handed work: one that does it at once, such as
    ``inline``, keeps nobody waiting but who hands it more."""

    def __init__(self) -> None:
        self._questions = _ThreadPool()
        self._of_backends: WeakKeyDictionary[Any, _ThreadPool] = WeakKeyDictionary()
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._lock = threading.Lock()

    def of(self, backend: Any) -> _ThreadPool:
        """Return the pool of a backend; of None that for questions."""
        if backend is None:
            return self._questions
        with self._lock:
            pool = self._of_backends.get(backend)
            if pool is None:
                pool = self._of_backends[backend] = _ThreadPool()
            return pool


_pools = _Pools()


class ThreadsafeFuture(Generic[T]):
    """A future of the running event loop that any thread may set, as long as that loop is open."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self._loop.create_future()

    def set(self, value: T) -> None:
        """Set the value, from any thread. Only the first one counts."""
        try:
            self._loop.call_soon_threadsafe(self._set, value)
        except RuntimeError:
            pass  # the loop has closed: nobody waits any more

    def _set(self, value: T) -> None:
        if not self.future.done():
            self.future.set_result(value)


async def offload(call: Callable[[], T], backend: Any = None) -> T:
    """Make a blocking call on a thread of our own, with the caller's context; await what it returns.

    A call that has not begun when the await is cancelled is not made.

    Args:
        call: what to do.
        backend: the one that is handed work by it.
    """
    returned = ThreadsafeFuture[tuple[T | None, BaseException | None]]()
    context = contextvars.copy_context()

    def work() -> None:
        if returned.future.cancelled():
            return
        said: tuple[T | None, BaseException | None]
        try:
            said = context.run(call), None
        except BaseException as error:
            # Raised by whoever awaits: a future would not take a StopIteration.
            said = None, error
        returned.set(said)

    _pools.of(backend).start(work)
    value, error = await returned.future
    if error is not None:
        raise error
    return cast(T, value)


async def final_status(job: Any) -> JobStatus:
    """Await the end of a job, without a thread and without blocking the loop; return its status.

    Cancelling the await takes the request back, and leaves the job alone. Raises what asking for
    the status raised.
    """
    check_may_wait(job)
    ended = ThreadsafeFuture[Any]()
    unsubscribe = job._on_final(ended.set)
    try:
        said = await ended.future
    finally:
        unsubscribe()
    if isinstance(said, BaseException):
        raise said
    status: JobStatus = said
    return status


async def after_final(job: Any, call: Callable[[], T]) -> T:
    """Await the end of a job, and then what a blocking call about it returns."""
    await final_status(job)
    return await offload(call)
