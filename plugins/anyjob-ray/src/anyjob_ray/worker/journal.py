"""The journal of a batch, for whoever asks once its worker has died.

A worker that dies takes along what came of the jobs that had ended, and which one it was running; and
what has begun is not to begin again. So each job that begins, and each that ends, is written to a file
beside the log files of the worker.
"""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from typing import NamedTuple

BEGUN = 0xFFFFFFFF
"""Stands for the length of the outcome of a job that has begun, and not ended."""
_HEADER = "!II"
_HEADER_SIZE = struct.calcsize(_HEADER)


class BatchProgress(NamedTuple):
    """How far a batch has come.

    Args:
        outcomes: what came of the jobs that have ended, pickled, by their indices.
        begun: the indices of those that have begun, and not ended.
    """

    outcomes: dict[int, bytes]
    begun: list[int]


class Journal:
    """The file of one batch.

    It stays until the next batch of this process has its own, for Ray may still drop what a task returns.

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

    def begin(self, index: int) -> bool:
        """A job is to begin: not, if it cannot be written down."""
        return self._write(struct.pack(_HEADER, index, BEGUN))

    def end(self, index: int, outcome: bytes) -> None:
        """A job has ended."""
        self._write(struct.pack(_HEADER, index, len(outcome)) + outcome)

    def _write(self, entry: bytes) -> bool:
        if self._fd < 0:
            return False
        try:
            if os.write(self._fd, entry) == len(entry):
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


def journal_path(batch_id: str) -> str:
    """Return where the journal of a batch is, on the node where it runs."""
    try:
        log = os.readlink("/proc/self/fd/1")
    except OSError:
        log = ""
    directory = os.path.dirname(log) if os.path.isfile(log) else tempfile.gettempdir()
    return os.path.join(directory, f"anyjob-batch-{batch_id}")


def parse_journal(data: bytes) -> BatchProgress:
    """Read the entries of a journal; the last may have been cut off."""
    outcomes: dict[int, bytes] = {}
    begun = []
    at = 0
    while at + _HEADER_SIZE <= len(data):
        index, size = struct.unpack_from(_HEADER, data, at)
        at += _HEADER_SIZE
        if size == BEGUN:
            begun.append(index)
        elif at + size <= len(data):
            outcomes[index] = data[at : at + size]
            at += size
        else:
            break
    return BatchProgress(outcomes, [index for index in begun if index not in outcomes])


def pop_journal(path: str) -> bytes | None:
    """Read a journal, and remove it; None: there is none."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError:
        return None
    _remove(path)
    return data


def pop_journal_of(batch_id: str) -> bytes | None:
    """Pop the journal of a batch, if that ran on this node."""
    return pop_journal(journal_path(batch_id))


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
