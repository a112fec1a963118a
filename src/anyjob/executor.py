"""A `concurrent.futures.Executor` over any backend, for every library that takes an executor."""

from __future__ import annotations

import atexit
import concurrent.futures
import copy
import itertools
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, Self, cast

from anyjob.backend import BaseBackend
from anyjob.errors import DependencyFailedError, JobRejectedError, SpecError, UnsupportedSpecError
from anyjob.future import JobFuture, cancel_pending
from anyjob.process.forks import in_each_process
from anyjob.process.weak_collections import living
from anyjob.resources import make_resources
from anyjob.specs import Call, T

if TYPE_CHECKING:
    from anyjob.runtime.submission.submit_thread import Handover
    from anyjob.taskbackend import TaskBackend

P = ParamSpec("P")
SLOTS = 1000
"""How many jobs a library may have under way at a time, where the backend has no number of its own."""


_OF_OTHER_EXECUTORS = {
    **dict.fromkeys(
        ("max_workers", "slots"),
        "how many jobs run at a time is the backend's to say: Executor(anyjob.get_backend(NAME, slots=4))",
    ),
    **dict.fromkeys(
        ("initializer", "initargs"),
        "jobs share no worker that could be prepared: have the function prepare what it needs, once a "
        "process (functools.cache), or set `preload` of a backend that has it",
    ),
    **dict.fromkeys(
        ("mp_context", "max_tasks_per_child", "thread_name_prefix"),
        "how jobs run is the backend's to say: name another one",
    ),
}
"""What is given to the executors of the standard library, and the way out here."""


class Executor(concurrent.futures.Executor):
    """Runs calls as jobs of a backend.

    It is what `ThreadPoolExecutor` and `ProcessPoolExecutor` are, with these differences: its futures
    have a ``job``; a call's `SystemExit` comes back as a `RemoteError`. It leaves the backend open. The
    program waits at its end, as it does for theirs, for what was submitted to a backend whose jobs end with
    it; those of a durable one go on without it.

    Args:
        backend: a backend, or its name; None takes the default one.
        resources: what each job needs and what it is called: see `anyjob.Resources`.

    Raises:
        SpecError: the resources make no sense.
        UnsupportedSpecError: the backend cannot run calls.
        AnyjobError: as `anyjob.get_backend` does.
    """

    def __init__(self, backend: str | BaseBackend | None = None, **resources: Any) -> None:
        for word, way_out in _OF_OTHER_EXECUTORS.items():
            if word in resources:
                raise SpecError(f"an anyjob.Executor takes no {word!r}: {way_out}")
        make_resources(resources)
        self._backend = _task_backend(backend)
        self._resources = resources
        # Not ours alone: libraries (dask) read it off the executors that they are given.
        of_options = getattr(self._backend.options, "slots", None) or SLOTS
        self._max_workers = int(getattr(self._backend, "slots", of_options))
        self._futures = _OpenFutures()
        if not self._backend.capabilities.durable:
            _WAITED_FOR[id(self._futures)] = self._futures
        # To write to a disk, or to ask a cluster, takes long for who has an event loop to run.
        self._handover = _handover(self._backend) if self._backend.capabilities.durable else None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> JobFuture[T]:
        """Have ``fn(*args, **kwargs)`` called by a job of the backend.

        A future of an `Executor` among the arguments stands for its result, as a job does, and the call
        starts after it. For type checkers, `anyjob.result_of(future)` is of the type of the result.

        Work that cannot be handed over (an argument that cannot be pickled, say, or a job that a plugin
        refuses) makes a future that has failed, as it does in a `ProcessPoolExecutor`. A durable backend is
        handed it soon, on a thread, with what else was submitted meanwhile: to wait for that, ask for the
        future's ``job``.

        Raises:
            RuntimeError: the executor was shut down.
            BackendError: the backend, which is not durable, cannot take work.
        """
        future: JobFuture[T]
        (future,) = self._futures_for(1)
        try:
            if self._handover is not None:
                future.await_job()
                self._handover.put(
                    Call(fn, args, kwargs), self._resources, lambda: not future.done(), future.told_of
                )
                return future
            job = self._backend.run(Call(fn, args, kwargs), **self._resources)
        except (SpecError, JobRejectedError, DependencyFailedError) as error:
            future.fail(error)
        except BaseException as error:
            future.fail(error)
            raise
        else:
            future.follow(job)
        return future

    def with_(self, **resources: Any) -> Self:
        """Return this executor, with other resources for what is submitted by what this returns.

        ``executor.with_(cpus=4).submit(fn, item)`` is one call that needs more than the others. Both are one
        executor: to shut down one shuts down the other.

        Args:
            resources: beside, or in place of, those that the executor was made with.

        Raises:
            SpecError: the resources make no sense.
        """
        other = copy.copy(self)
        other._resources = {**self._resources, **resources}
        make_resources(other._resources)
        return other

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Call ``fn`` with each item, as the builtin ``map`` does; yields the results in order.

        All is submitted at once, before this returns, if there is no ``buffersize``. What has not begun is
        cancelled when a call raises, a result is late, or the iterator is closed.

        Args:
            fn: what to call.
            iterables: its arguments.
            timeout: seconds from now until which a result must be there.
            chunksize: how many calls make one job.
            buffersize: how many results, at most, are under way or have not been yielded; the arguments of
                more are not read before. None for no bound.

        Raises:
            TimeoutError: (by the iterator) a result was not there in time.
            ValueError: ``chunksize`` or ``buffersize`` is less than 1.
            TypeError: ``buffersize`` is no whole number.
            RuntimeError: the executor was shut down.
            SpecError: something cannot be pickled; nothing is submitted.
            BackendError: the backend cannot take work.
        """
        if chunksize < 1:
            raise ValueError(f"chunksize, the number of calls a job, is 1 or more, not {chunksize!r}")
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError(f"buffersize is a whole number or None, not {buffersize!r}")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize, the number of results ahead, is 1 or more, not {buffersize!r}")
        deadline = None if timeout is None else time.monotonic() + timeout
        items = zip(*iterables, strict=False)
        if chunksize == 1:
            return self._results((Call(fn, item) for item in items), buffersize, deadline)
        chunks = iter(lambda: tuple(itertools.islice(items, chunksize)), ())
        calls = (Call(_call_each, (fn, chunk)) for chunk in chunks)
        # A buffer of results is one of as many jobs as hold them.
        jobs = None if buffersize is None else -(-buffersize // chunksize)
        return _flattened(self._results(calls, jobs, deadline))

    def _results(
        self, calls: Iterator[Call[T]], buffersize: int | None, deadline: float | None
    ) -> Iterator[T]:
        """Submit calls, so many at first and one more for each result; yield their results."""

        def submit_next() -> list[JobFuture[T]]:
            following = list(itertools.islice(calls, 1))
            return self._submit(following) if following else []

        futures = deque(self._submit(list(itertools.islice(calls, buffersize))))
        return _in_order(futures, submit_next, deadline)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work.

        Args:
            wait: return only when all that was submitted has ended.
            cancel_futures: cancel what has not begun.

        The backend stays open: it belongs to whoever made it. Workers of it that have nothing to do end.
        """
        futures = self._futures.shut()
        if cancel_futures:
            cancel_pending(futures)
        if wait:
            concurrent.futures.wait(futures)
        self._backend.end_idle_workers()

    def _submit(self, calls: Sequence[Call[T]]) -> list[JobFuture[T]]:
        """Hand over many calls at once."""
        futures: list[JobFuture[T]] = self._futures_for(len(calls))
        try:
            jobs = self._backend.run_many(calls, **self._resources) if calls else []
        except BaseException as error:
            for future in futures:
                future.fail(error)
            raise
        for future, job in zip(futures, jobs, strict=True):
            future.follow(job)
        return futures

    def _futures_for(self, count: int) -> list[JobFuture[Any]]:
        futures: list[JobFuture[Any]] = [JobFuture() for _ in range(count)]
        self._futures.add(futures)
        return futures


class _OpenFutures:
    """The futures of an executor, and of those that `Executor.with_` makes of it, that are not done.

    In a child of a fork there are none: those of its parent are its parent's.
    """

    def __init__(self) -> None:
        self._shut = False
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._lock = threading.Lock()
        self._futures: set[JobFuture[Any]] = set()

    def add(self, futures: Sequence[JobFuture[Any]]) -> None:
        """Take in new ones, as long as the executor is not shut."""
        with self._lock:
            if self._shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._futures.update(futures)
        for future in futures:
            future.add_done_callback(self._discard)  # which keeps this as long as one is open

    def _discard(self, future: concurrent.futures.Future[Any]) -> None:
        self._futures.discard(cast(JobFuture[Any], future))

    def wait(self) -> None:
        """Wait until all are done."""
        with self._lock:
            futures = list(self._futures)
        concurrent.futures.wait(futures)

    def shut(self) -> list[JobFuture[Any]]:
        """Take in no more; return those that there are."""
        with self._lock:
            self._shut = True
            return list(self._futures)


_WAITED_FOR: weakref.WeakValueDictionary[int, _OpenFutures] = weakref.WeakValueDictionary()


def _wait_at_exit() -> None:
    for futures in living(_WAITED_FOR).values():
        futures.wait()


# As those of the standard library do: while threads can still be started.
getattr(threading, "_register_atexit", atexit.register)(_wait_at_exit)


def _task_backend(backend: str | BaseBackend | None) -> TaskBackend:
    from anyjob.runtime.lowering import find_route
    from anyjob.session.default import default_session
    from anyjob.session.placement import given_backend
    from anyjob.taskbackend import TaskBackend

    found: Any = given_backend(default_session, backend)
    if not isinstance(found, TaskBackend):
        raise UnsupportedSpecError(
            f"an executor needs a backend that runs calls (the kind 'python'), and {found!r} takes only work "
            "of its own making: choose one of anyjob.backends(can_run='python')"
        )
    find_route("python", found.accepts, found.services.job_type, shared_files=found.capabilities.shared_files)
    return found


def _handover(backend: TaskBackend) -> Handover:
    from anyjob.runtime.submission.submit_thread import Handover

    return Handover(backend)


def _call_each(fn: Callable[..., T], chunk: Sequence[tuple[Any, ...]]) -> list[T]:
    return [fn(*item) for item in chunk]


def _flattened(chunks: Iterator[list[T]]) -> Iterator[T]:
    for chunk in chunks:
        chunk.reverse()
        while chunk:
            yield chunk.pop()


def _in_order(
    futures: deque[JobFuture[T]], submit_next: Callable[[], list[JobFuture[T]]], deadline: float | None
) -> Iterator[T]:
    try:
        while futures:
            futures[0].exception(None if deadline is None else deadline - time.monotonic())
            futures.extend(submit_next())
            # Nothing here holds on to a result that was yielded.
            yield futures.popleft().result()
    finally:
        cancel_pending(futures)
