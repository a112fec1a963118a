"""Reads what a job writes, in chunks as they come, and makes lines of them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator

from anyjob.errors import JobError

STREAMS = ("stdout", "stderr")
FIRST_PAUSE = 0.01
"""Seconds until one looks again, where there was nothing new; longer each time after."""
LONGEST_PAUSE = 0.25


def check_stream(stream: str) -> None:
    """Refuse what is none of the two.

    Raises:
        JobError: a job has no such stream.
    """
    if stream not in STREAMS:
        raise JobError(f"a job has a stdout and a stderr, and no stream {stream!r}")


def read_file(path: str | os.PathLike[str], offset: int, size: int = 1 << 20) -> bytes:
    """Return a part of a file that a program was told to write; nothing where it cannot be read so."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, size, offset)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def longer(pause: float) -> float:
    """Return how many seconds to pause next, where this pause was in vain."""
    return min(pause * 1.5, LONGEST_PAUSE)


def chunks(
    read: Callable[[int], bytes], ended: Callable[[], bool], sleep: Callable[[float], None]
) -> Iterator[bytes]:
    """Yield what is written, until there is no more and nothing more is to come.

    Args:
        read: returns what there is from an offset on; empty: no more now.
        ended: tells whether nothing more is to come.
        sleep: sleeps for so many seconds at most.
    """
    offset = 0
    pause = FIRST_PAUSE
    while True:
        # Asked first, read second: what was written before the end is not missed.
        is_last = ended()
        chunk = read(offset)
        if chunk:
            yield chunk
            offset += len(chunk)
            pause = FIRST_PAUSE
        elif is_last:
            return
        else:
            sleep(pause)
            pause = longer(pause)


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield line by line, with line ends, what comes in chunks."""
    splitter = LineSplitter()
    for chunk in chunks:
        yield from splitter.feed(chunk)
    yield from splitter.rest()


class LineSplitter:
    """Makes lines, with line ends, of what comes in chunks."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []  # parts of a line whose end has not come

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Take in a chunk; yield the lines that end in it."""
        for line in io.BytesIO(chunk):
            self._pending.append(line)
            if line.endswith(b"\n"):
                yield from self.rest()

    def rest(self) -> Iterator[str]:
        """Yield the line whose end has not come, if there is one."""
        if self._pending:
            yield b"".join(self._pending).decode("utf-8", "replace")
            self._pending.clear()
