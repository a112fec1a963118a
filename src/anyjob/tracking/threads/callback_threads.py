"""The threads on which callbacks of users are called: they may take long, and wait for other jobs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from anyjob.process.forks import in_each_process
from anyjob.process.plugin_thread import PluginThread

if TYPE_CHECKING:
    from anyjob.status import JobStatus

PATIENCE = 0.05
"""Seconds that a call may take before the next is made on another thread."""
IDLE = 10.0
"""Seconds after which a thread with nothing to do ends."""


class CallbackThreads:
    """Makes calls one after the other, on one thread as long as they are quick.

    Where one takes long, as it may wait for what a later one brings about, another thread goes on.
    """

    def __init__(self) -> None:
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._changed = threading.Condition()
        self._calls: deque[Callable[[], object]] = deque()
        self._spare = 0  # threads that make no call
        self._turn: threading.Thread | None = None  # who makes the calls
        self._since = 0.0  # when it has begun the last one

    def put(self, call: Callable[[], object]) -> None:
        """Have a call made soon, which must not raise."""
        with self._changed:
            self._calls.append(call)
            self._changed.notify()
            if self._spare:
                return
            self._spare += 1
        try:
            PluginThread(self._serve, "anyjob-callbacks").start()
        except RuntimeError:  # none can be started: those that there are come to it, or this one does
            with self._changed:
                self._spare -= 1
                if self._turn is not None:
                    return
            self._calls.popleft()()

    def _serve(self) -> None:
        while (call := self._next()) is not None:
            call()
            del call
            with self._changed:
                self._spare += 1

    def _next(self) -> Callable[[], object] | None:
        """Wait for a call, and for the turn to make it; None where there has been none for long."""
        me = threading.current_thread()
        with self._changed:
            while True:
                left = self._since + PATIENCE - time.monotonic()
                if self._calls and (self._turn in (None, me) or left <= 0):
                    self._turn, self._since = me, time.monotonic()
                    self._spare -= 1
                    if self._calls and not self._spare:
                        self._spare += 1
                        PluginThread(self._serve, "anyjob-callbacks").start()
                    return self._calls.popleft()
                if self._turn is me:
                    self._turn = None
                if not self._changed.wait(left if self._calls else IDLE) and not self._calls:
                    self._spare -= 1
                    return None


_threads = CallbackThreads()


def call_at_end(job: Any, callback: Callable[[JobStatus | BaseException], object]) -> None:
    """Have a callback of a user called at the end of a job: on a thread that it may hold as long as it likes.

    Args:
        job: the job; where it has ended, the callback is called at once.
        callback: called with the final status, or with what asking for it raised. It must not raise.
    """
    caller: int | None = threading.get_ident()

    def told(said: JobStatus | BaseException) -> None:
        if caller == threading.get_ident():
            callback(said)
        else:
            _threads.put(partial(callback, said))

    job._on_final(told)
    caller = None
