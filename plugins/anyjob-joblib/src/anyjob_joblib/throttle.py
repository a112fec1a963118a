"""Hands over so many calls at a time, and the next when one has ended."""

from __future__ import annotations

import concurrent.futures
import functools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import anyjob


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Make a call; return how many seconds it took, and what it returned."""
    begun = time.perf_counter()
    value = work()
    return time.perf_counter() - begun, value


class Throttle:
    """Runs calls by an executor, so many at a time: joblib's ``n_jobs`` bounds memory and licences, too.

    Args:
        executor: what runs them.
        most: how many are under way at most.
        packed: makes of a call what is sent, when it is its turn.
    """

    def __init__(
        self,
        executor: anyjob.Executor,
        most: int,
        packed: Callable[[Callable[[], Any]], Callable[[], Any]] = lambda work: work,
    ) -> None:
        self._executor, self._most, self._packed = executor, most, packed
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[[], Any], Callable[[Any], Any]]] = deque()
        self._under_way: set[concurrent.futures.Future[Any]] = set()
        self._count = 0
        self._hands_over = False

    def submit(self, work: Callable[[], Any], callback: Callable[[Any], Any]) -> None:
        """Have this called, soon, and ``callback(future)`` once it has ended, in whichever way."""
        with self._lock:
            self._waiting.append((work, callback))
        self._hand_over()

    def cancel(self) -> None:
        """Forget what waits, and cancel what is under way."""
        with self._lock:
            self._waiting.clear()
            futures = list(self._under_way)
        jobs = [job for future in futures if not future.cancel() and (job := getattr(future, "job", None))]
        if jobs:
            jobs[0].backend().cancel_many(jobs)

    def _hand_over(self) -> None:
        """Hand over what there is room for. A call that has ended at once comes here, and finds us at it."""
        while True:
            with self._lock:
                if self._hands_over or not self._waiting or self._count >= self._most:
                    return
                self._hands_over = True
                self._count += 1
                work, callback = self._waiting.popleft()
            try:
                future = self._start(work)
                with self._lock:
                    self._under_way.add(future)
                future.add_done_callback(functools.partial(self._ended, callback))
            finally:
                with self._lock:
                    self._hands_over = False

    def _start(self, work: Callable[[], Any]) -> concurrent.futures.Future[Any]:
        """Return the future of a call; joblib would wait for ever for one that could not be made."""
        try:
            return self._executor.submit(timed, self._packed(work))
        except Exception as error:  # of a backend, or of pickling: joblib raises it where it is waited for
            future: concurrent.futures.Future[Any] = concurrent.futures.Future()
            future.set_exception(error)
            return future

    def _ended(self, callback: Callable[[Any], Any], future: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._under_way.discard(future)
            self._count -= 1
        self._hand_over()
        callback(future)
