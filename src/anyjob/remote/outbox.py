"""What goes to the other end of a channel: written by who says it, or by a thread where that would wait."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable

AT_ONCE = select.PIPE_BUF
"""Bytes that are written without waiting to what can be written to."""


class Outbox:
    """Writes messages. To put one there never waits, and wakes nobody where the other end reads.

    Args:
        descriptor: what they are written to. It is closed with this, once nobody writes to it any more: else
            its number may be that of another file by then, and what is left of a message would go there.
        broken: called where they cannot be any more.
    """

    def __init__(self, descriptor: int, broken: Callable[[], object]) -> None:
        self._descriptor, self._broken = descriptor, broken
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._held: deque[bytes | memoryview] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._is_closed = self._is_writing = False

    def put(self, message: bytes, data: bytes | memoryview = b"") -> None:
        """Have a message written after those before it, and data of it that follow; these are not copied."""
        with self._changed:
            if self._is_closed:
                return
            if not (self._held or data) and len(message) <= AT_ONCE and self._can_write():
                try:
                    message = message[os.write(self._descriptor, message) :]
                except OSError:
                    message = b""
                    self._broken()
            if message:
                self._held.append(message)
                if data:
                    self._held.append(data)
                self._changed.notify()

    def _can_write(self) -> bool:
        return any(event & select.POLLOUT for _, event in self._poll.poll(0))

    def run(self) -> None:
        """Write what has to wait, until it is closed: on a thread of its own."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._held or self._is_closed)
                if self._is_closed:
                    return
                self._is_writing = True
                view = memoryview(self._held[0])  # it stays there meanwhile: what follows is behind it
            is_broken = False
            while view and not (is_broken or self._is_closed):
                try:
                    view = view[os.write(self._descriptor, view) :]
                except OSError:
                    is_broken = True
            with self._changed:
                self._is_writing = False
                if self._is_closed:
                    os.close(self._descriptor)
                    return
                self._held.popleft()
            if is_broken:
                self._broken()
                return

    def close(self) -> None:
        """Write nothing any more: what is put there from now on goes nowhere."""
        with self._changed:
            if not (self._is_closed or self._is_writing):
                os.close(self._descriptor)
            self._is_closed = True
            self._changed.notify()
