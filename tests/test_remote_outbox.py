"""What goes to the other end of a channel is written in order, and nobody waits for it who says something."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from support.waiting import wait_until

from anyjob.remote.outbox import AT_ONCE, Outbox


class Pipe:
    """A pipe with an outbox at its one end."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.breaks = 0
        self.outbox = Outbox(self.writer, self._broken)
        self.thread = threading.Thread(target=self.outbox.run, daemon=True)

    def _broken(self) -> None:
        self.breaks += 1

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += os.read(self.reader, size - len(data))
        return data


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.outbox.close()
    os.close(made.reader)
    if made.thread.ident is not None:
        made.thread.join(60)


def test_a_small_message_needs_no_thread(pipe: Pipe) -> None:
    for message in (b"one", b"two"):
        pipe.outbox.put(message)
    assert pipe.read(6) == b"onetwo"


def test_who_says_something_does_not_wait_for_the_other_end(pipe: Pipe) -> None:
    """Nobody reads, and there is no thread that would write: all of it waits, in order."""
    said = [bytes([number % 256]) * (1 + number * 7 % AT_ONCE) for number in range(200)]
    said[100:100] = [b"x" * 1_000_000]
    for message in said:
        pipe.outbox.put(message)
    pipe.thread.start()
    assert pipe.read(sum(map(len, said))) == b"".join(said)
    wait_until(lambda: not pipe.outbox._held)
    pipe.outbox.put(b"after it")
    assert pipe.read(8) == b"after it"


def test_that_nobody_can_read_any_more_is_told(pipe: Pipe) -> None:
    os.close(pipe.reader)
    pipe.outbox.put(b"small")
    assert pipe.breaks == 1
    pipe.outbox.put(b"x" * 1_000_000)
    pipe.thread.start()
    wait_until(lambda: pipe.breaks == 2)
    pipe.reader = os.open(os.devnull, os.O_RDONLY)


def test_what_is_said_once_it_is_closed_goes_nowhere(pipe: Pipe) -> None:
    pipe.thread.start()
    pipe.outbox.close()
    pipe.outbox.put(b"late")
    pipe.thread.join(60)
    assert not pipe.thread.is_alive()
    assert os.read(pipe.reader, 1) == b"", "it is closed, too"


def test_what_is_written_to_is_closed_when_that_has_come_to_its_end(pipe: Pipe) -> None:
    """Another file may have its number at once, and would get what is left of the message."""
    pipe.outbox.put(b"x" * 1_000_000)
    pipe.thread.start()
    wait_until(lambda: pipe.outbox._is_writing)
    pipe.outbox.close()
    assert os.fstat(pipe.writer), "nobody has read, so it is being written to"
    while os.read(pipe.reader, 1 << 16):
        pass
    pipe.thread.join(60)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pipe.writer)
