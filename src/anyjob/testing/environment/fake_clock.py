"""A clock that skips the time in which nothing happens but waiting."""

from __future__ import annotations

import math
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any, NamedTuple

import pytest

IDLE = 0.002
"""Real seconds for which all must wait, before time is skipped."""
THREAD_NAMES = ("anyjob-watch-", "anyjob-poll-")
"""How the names of those threads of anyjob begin that ask about jobs."""
_STANDARD_LIBRARY = ("threading", "concurrent", "asyncio", "multiprocessing", "subprocess")

_monotonic, _time = time.monotonic, time.time


class FakeClock:
    """The real time, and what was skipped of it.

    When the test waits for something with anyjob (or by ``time.sleep``, or for a `threading.Event`), and the
    threads of anyjob that ask about jobs wait as well, time jumps to the next moment at which one of them
    wants to go on. So an hour of waiting, of intervals between questions, or of grace passes at once,
    and in the right order. While anything is really done, time passes as ever.

    What takes its time elsewhere is not seen: in the eyes of a test that waits, work in another thread
    or process takes no time to skip. Use the clock with an engine that answers from memory.
    """

    def __init__(self) -> None:
        self._skipped = 0.0
        self._changed = threading.Condition()
        self._waits: list[_Wait] = []
        self._test = threading.get_ident()
        # Their events are real ones, which do not tell this clock when they wait.
        self._foreign_threads = weakref.WeakSet(threading.enumerate())

    def monotonic(self) -> float:
        """Return what ``time.monotonic()`` gives."""
        return _monotonic() + self._skipped

    def time(self) -> float:
        """Return what ``time.time()`` gives."""
        return _time() + self._skipped

    def sleep(self, seconds: float) -> None:
        """Do what ``time.sleep()`` does."""
        self.wait(lambda: False, seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass at once; who waits for less goes on."""
        with self._changed:
            self._skipped += seconds
            self._changed.notify_all()

    def wait(self, is_over: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until this is true, or that many seconds have passed; return whether it is true."""
        with self._changed:
            until = math.inf if timeout is None else self.monotonic() + timeout
            wait = _Wait(threading.get_ident(), until, is_over)
            self._waits.append(wait)
            try:
                while not is_over():
                    left = until - self.monotonic()
                    if left <= 0:
                        return False
                    if not self._changed.wait(min(left, IDLE)):
                        self._skip()
                return True
            finally:
                self._waits.remove(wait)

    def wake(self) -> None:
        """Have all who wait look whether it is over."""
        with self._changed:
            self._changed.notify_all()

    def _skip(self) -> None:
        """Skip to the next moment at which somebody goes on, where all wait."""
        our_threads = (each for each in threading.enumerate() if each not in self._foreign_threads)
        busy = {self._test} | {each.ident for each in our_threads if each.name.startswith(THREAD_NAMES)}
        busy -= {wait.thread for wait in self._waits}
        if busy or any(wait.is_over() for wait in self._waits):
            return
        next_moment = min(wait.until for wait in self._waits)
        if next_moment < math.inf:
            self._skipped += max(0.0, next_moment - self.monotonic())
            self._changed.notify_all()


class _Wait(NamedTuple):
    thread: int
    until: float
    is_over: Callable[[], bool]


@contextmanager
def installed(clock: FakeClock) -> Iterator[FakeClock]:
    """Have all code take its time from a clock, as long as it is entered."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("monotonic", "time", "sleep"):
            patch.setattr(time, name, getattr(clock, name))
        patch.setattr(threading, "Event", _event_class(clock))
        patch.setattr("anyjob.tracking.waits.blocking._Queue", lambda: _Queue(clock))
        yield clock


def _event_class(clock: FakeClock) -> type[threading.Event]:
    class Event(threading.Event):
        """An event whose waits take the time of the clock; those that Python makes for itself do not."""

        def __init__(self) -> None:
            super().__init__()
            maker = sys._getframe(1).f_globals.get("__name__", "")
            self._is_real = maker.partition(".")[0] in _STANDARD_LIBRARY

        def set(self) -> None:
            super().set()
            clock.wake()

        def wait(self, timeout: float | None = None) -> bool:
            return super().wait(timeout) if self._is_real else clock.wait(self.is_set, timeout)

    return Event


class _Queue:
    """What `anyjob.tracking.waits.blocking` needs of a queue."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._clock.wake()

    def get(self, timeout: float | None = None) -> Any:
        if not self._clock.wait(lambda: bool(self._items), timeout):
            raise Empty
        return self._items.popleft()
