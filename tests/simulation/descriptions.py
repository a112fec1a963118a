"""What descriptors stand for that are no plain files: the ends of pipes and sockets."""

from __future__ import annotations

import errno
import os
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulation.processes import Process

CAPACITY = 200_000
"""Bytes that a pipe or socket takes before somebody reads."""


class Stream:
    """Bytes on their way, in one direction."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = self.broken = self.reset = False
        self.readers = self.writers = 0
        self.passed: deque[list[Description | int]] = deque()
        """What was passed over it: what descriptors stand for, and of files their own."""

    def drop_passed(self) -> None:
        """Nobody will receive what was passed."""
        while self.passed:
            for each in self.passed.popleft():
                if isinstance(each, int):
                    os.close(each)
                else:
                    each.release()


class Description:
    """What a descriptor stands for; several may stand for the same."""

    blocking = True

    def __init__(self, incoming: Stream | None, outgoing: Stream | None) -> None:
        self.incoming, self.outgoing = incoming, outgoing
        if incoming is not None:
            incoming.readers += 1
        if outgoing is not None:
            outgoing.writers += 1
        self.references = 0

    def is_readable(self) -> bool:
        """Whether a read returns at once."""
        stream = self.incoming
        return stream is not None and bool(stream.data or stream.ended or stream.reset)

    def is_writable(self) -> bool:
        """Whether a write takes something at once, or fails."""
        stream = self.outgoing
        return stream is not None and (stream.broken or len(stream.data) < CAPACITY)

    def read(self, size: int) -> bytes:
        """Take what is there; nothing at the end. The caller has waited."""
        stream = self.incoming
        assert stream is not None
        data = bytes(stream.data[:size])
        del stream.data[:size]
        if not data and stream.reset:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        return data

    def write(self, data: bytes) -> int:
        """Add what there is room for."""
        stream = self.outgoing
        assert stream is not None
        if stream.broken:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        room = CAPACITY - len(stream.data)
        if room <= 0:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        stream.data += data[:room]
        return min(room, len(data))

    def release(self) -> None:
        """One descriptor less."""
        self.references -= 1
        if self.references == 0:
            self.close()

    def close(self) -> None:
        """The last descriptor is gone."""
        if self.outgoing is not None:
            self.outgoing.writers -= 1
            self.outgoing.ended = self.outgoing.ended or not self.outgoing.writers
        if self.incoming is not None:
            self.incoming.readers -= 1
            if self.incoming.readers:
                return
            self.incoming.broken = True
            self.incoming.drop_passed()
            if self.incoming.data and self.outgoing is not None:
                self.outgoing.reset = True  # as Linux does where something was not read


class Listener(Description):
    """A socket that is listened on."""

    def __init__(self, path: str, owner: Process) -> None:
        super().__init__(None, None)
        self.path = path
        self.owner = owner
        self.backlog: list[tuple[Connection, Process]] = []
        self.open = True

    def is_readable(self) -> bool:
        return bool(self.backlog)

    def close(self) -> None:
        self.open = False
        for connection, _ in self.backlog:
            connection.close()


class Connection(Description):
    """One end of a connected socket."""

    peer: tuple[int, int] = (0, 0)


def pair() -> tuple[Connection, Connection]:
    """Return the two ends of a connection."""
    one, other = Stream(), Stream()
    return Connection(one, other), Connection(other, one)
