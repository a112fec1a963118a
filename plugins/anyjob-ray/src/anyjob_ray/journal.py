"""What a worker writes down of a series of calls, for whoever asks once it has died.

A worker that dies takes along what came of the calls that had ended, and which one it was making; and
what has begun is not to begin again. So each call that begins, and each that ends, is written to a file
beside the log files of the worker. Sent along to the cluster.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from typing import NamedTuple

BEGUN = 0xFFFFFFFF
"""Stands for the length of what came of a call that has begun, and not ended."""
_HEAD = "!II"
_SIZE = struct.calcsize(_HEAD)


class Known(NamedTuple):
    """What a journal tells.

    Args:
        done: what came of the calls that have ended, by their numbers.
        begun: the numbers of those that have begun, and not ended.
    """

    done: dict[int, bytes]
    begun: list[int]


class Journal:
    """The file of one series.

    It stays until the next series of this process has its own, for Ray may still drop what a task returns.

    Args:
        path: of the file, which must not be there.
    """

    def __init__(self, path: str) -> None:
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError:
            return
        _remove(sys.__dict__.get("_anyjob_ray_journal", ""))
        sys.__dict__["_anyjob_ray_journal"] = path

    def begin(self, number: int) -> bool:
        """A call is to begin: not, if it cannot be written down."""
        return self._write(struct.pack(_HEAD, number, BEGUN))

    def end(self, number: int, said: bytes) -> None:
        """A call has ended."""
        self._write(struct.pack(_HEAD, number, len(said)) + said)

    def _write(self, data: bytes) -> bool:
        if self._fd < 0:
            return False
        try:
            if os.write(self._fd, data) == len(data):
                return True
        except OSError:
            pass
        self.close()  # the disk is full
        return False

    def close(self) -> None:
        """Write no more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def path_of(series_id: str) -> str:
    """Where the journal of a series is, on the node where it runs."""
    try:
        log = os.readlink("/proc/self/fd/1")
    except OSError:
        log = ""
    directory = os.path.dirname(log) if os.path.isfile(log) else tempfile.gettempdir()
    return os.path.join(directory, f"anyjob-series-{series_id}")


def parse(data: bytes) -> Known:
    """Read a journal; its last entry may have been cut off."""
    known = Known({}, [])
    at = 0
    while at + _SIZE <= len(data):
        number, size = struct.unpack_from(_HEAD, data, at)
        at += _SIZE
        if size == BEGUN:
            known.begun.append(number)
        elif at + size <= len(data):
            known.done[number] = data[at : at + size]
            at += size
        else:
            break
    return Known(known.done, [number for number in known.begun if number not in known.done])


def take_out(path: str) -> bytes | None:
    """Read a journal, and remove it; None: there is none."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError:
        return None
    _remove(path)
    return data


def take_out_here(series_id: str) -> bytes | None:
    """Take out the journal of a series, if it ran on this node."""
    return take_out(path_of(series_id))


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
