"""The last lines of what a job wrote, however much that is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from anyjob.outputs.log_reading import STREAMS
from anyjob.spool.private_files import read_range
from anyjob.text.printable import printable, shortened

TAIL = 64 * 1024
"""Bytes of the end of a file that are read."""
MOST_READ = 16 * 1024 * 1024
"""Bytes that are read of what can be read from its beginning only; more is left alone."""
LONGEST_LINE = 400


def of_spool(directory: Path, count: int) -> dict[str, list[str]]:
    """Return the last lines of each stream of a job that has a directory; of an empty one, nothing."""
    return {stream: lines for stream in STREAMS if (lines := last_lines_of(directory / stream, count))}


def of_chunks(chunks: Iterable[bytes], count: int) -> list[str]:
    """Return the last lines of what comes in chunks from its beginning on."""
    end, read = b"", 0
    for chunk in chunks:
        end = (end + chunk)[-TAIL:]
        read += len(chunk)
        if read > MOST_READ:
            return [*last_lines(end, count), "… and more: it is too long to be looked through here"]
    return last_lines(end, count)


def last_lines_of(path: Path, count: int) -> list[str]:
    """Return the last lines of a file of the user's own; nothing of one that cannot be read."""
    return last_lines(_end_of(path), count)


def _end_of(path: Path) -> bytes:
    try:
        return read_range(path, max(0, os.lstat(path).st_size - TAIL), TAIL)
    except OSError:
        return b""


def last_lines(data: bytes, count: int) -> list[str]:
    """Return the last lines of some bytes as text that moves no cursor, each cut to a length.

    Of a line that was written over by carriage returns, as progress bars are, it is what was seen last.
    """
    lines = data.decode("utf-8", "replace").rstrip().split("\n")
    seen = (line.rstrip("\r").rpartition("\r")[2] for line in lines if line.strip())
    return [shortened(printable(line, keep="\t"), LONGEST_LINE) for line in list(seen)[-count:]]
