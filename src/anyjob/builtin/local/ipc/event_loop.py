"""An event loop of one thread, for the keeper and the supervisor: nothing in it blocks."""

from __future__ import annotations

import heapq
import os
import selectors
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

    from anyjob.builtin.local.ipc.frames import FrameSocket

    Source = int | socket.socket | FrameSocket


class Timer:
    """When something is due, and what."""

    __slots__ = ("call", "due")

    def __init__(self, due: float, call: Callable[[], object]) -> None:
        self.due = due
        self.call: Callable[[], object] | None = call

    def __lt__(self, other: Timer) -> bool:
        return self.due < other.due


class EventLoop:
    """Calls back when something can be read, when a timer is due, and when a signal has come.

    What is sent goes out at the end of the turn; what the other end does not take then, as it makes room.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._readers: dict[Source, Callable[[], object]] = {}
        self._to_flush: set[FrameSocket] = set()
        self._blocked: set[FrameSocket] = set()
        self._timers: list[Timer] = []
        self._cancelled = 0  # of the timers

    def run_once(self, limit: float | None) -> None:
        """Wait until something happens, at most ``limit`` seconds, and call whoever it concerns."""
        if self._timers:
            due = max(0.0, self._timers[0].due - time.monotonic())
            limit = due if limit is None else min(due, limit)
        for key, events in self._selector.select(limit):
            if events & selectors.EVENT_WRITE:
                self.flush(key.data)
            callback = self._readers.get(key.data)  # None where it was removed within this turn
            if events & selectors.EVENT_READ and callback is not None:
                callback()
        now = time.monotonic()
        while self._timers and self._timers[0].due <= now:
            timer = heapq.heappop(self._timers)
            if timer.call is None:
                self._cancelled -= 1
            else:
                call, timer.call = timer.call, None
                call()
        for frames in list(self._to_flush):
            self.flush(frames)

    def call_later(self, seconds: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Have a function called after so many seconds; return what `cancel` takes."""
        timer = Timer(time.monotonic() + seconds, lambda: callback(*arguments))
        heapq.heappush(self._timers, timer)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Have a timer call nothing, and hold on to nothing. It may be due already."""
        if timer.call is not None:
            timer.call = None
            self._cancelled += 1
            if self._cancelled * 2 > len(self._timers):  # else those that are far off would heap up
                self._timers = [each for each in self._timers if each.call is not None]
                heapq.heapify(self._timers)
                self._cancelled = 0

    def on_signal(self, callback: Callable[[], object]) -> None:
        """Have signals that Python handles end the wait, and a function called after each."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

        def read() -> None:
            os.read(reader, 4096)
            callback()

        self.add_reader(reader, read)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def add_reader(self, source: Source, callback: Callable[[], object]) -> None:
        """Have a function called whenever there is something to read, or the other end has gone."""
        self._readers[source] = callback
        self._selector.register(source, selectors.EVENT_READ, source)

    def remove_reader(self, source: Source) -> None:
        """Forget a source, and what was still to be sent there. It is not closed."""
        del self._readers[source]
        self._selector.unregister(source)
        self._to_flush.discard(source)
        self._blocked.discard(source)

    def send(self, frames: FrameSocket, message: Any) -> None:
        """Send a message at the end of this turn, with whatever else is to be sent there."""
        frames.send(message)
        self._to_flush.add(frames)

    def flush(self, frames: FrameSocket) -> None:
        """Send now what the other end takes now. Whether it has gone, is for its reader to find out."""
        self._to_flush.discard(frames)
        try:
            blocked = not frames.flush()
        except OSError:
            blocked = False
        if frames in self._readers and blocked != (frames in self._blocked):
            (self._blocked.add if blocked else self._blocked.discard)(frames)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if blocked else 0)
            self._selector.modify(frames, events, frames)
