"""Serialization: pickles whose large buffers are out of band, so that none of them is copied on the way."""

from __future__ import annotations

import mmap
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anyjob.sdk import open_private, runner

LARGE = 64 * 1024
"""Bytes from which a buffer is out of band, and a value is too large for a ledger."""
_MAGIC = b"anyjob-pickle-1\n"


class Serialized:
    """A pickled value, and its large buffers, which are out of band.

    Pickled itself, by protocol 5 with a place for buffers, as Dask does, it copies none of them.
    """

    __slots__ = ("blob", "buffers")

    def __init__(self, blob: bytes, buffers: Sequence[Any] = ()) -> None:
        self.blob = blob
        self.buffers = list(buffers)

    @property
    def nbytes(self) -> int:
        """How large it is, in bytes."""
        return len(self.blob) + sum(memoryview(each).nbytes for each in self.buffers)

    def load(self) -> Any:
        """Return the value; its large buffers are shared with this object."""
        return pickle.loads(self.blob, buffers=self.buffers)

    def load_copy(self) -> Any:
        """Return the value; what can be changed of it is not shared with this object."""
        copied = [each if memoryview(each).readonly else bytearray(memoryview(each)) for each in self.buffers]
        return pickle.loads(self.blob, buffers=copied)

    def write(self, path: Path) -> None:
        """Write it to a file, which appears at once or not at all.

        Raises:
            OSError: it cannot be written; nothing of it is left.
        """
        part = path.with_name(path.name + ".part")
        sizes = [len(self.blob), *(memoryview(each).nbytes for each in self.buffers)]
        head = pickle.dumps(sizes, 5)
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with open(fd, "wb") as stream:
                stream.write(_MAGIC + len(head).to_bytes(8, "little") + head + self.blob)
                for each in self.buffers:
                    stream.write(memoryview(each))
            os.rename(part, path)
        except BaseException:
            os.unlink(part)
            raise

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Serialized:
        """Return what was written to a file, without reading it: its buffers are pages of the file.

        They can be changed, which does not change the file.

        Raises:
            OSError: there is no such file.
            StateError: it is somebody else's.
            ValueError: it holds something else.
        """
        with open_private(path) as stream:
            pages = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY))
        start = len(_MAGIC) + 8
        if bytes(pages[: len(_MAGIC)]) != _MAGIC:
            raise ValueError(f"{os.fspath(path)} holds no value that anyjob has written")
        end = start + int.from_bytes(pages[len(_MAGIC) : start], "little")
        parts = []
        for size in pickle.loads(pages[start:end]):
            parts.append(pages[end : end + size])
            end += size
        return cls(bytes(parts[0]), parts[1:])

    def __reduce_ex__(self, protocol: Any) -> Any:
        kind: Any = pickle.PickleBuffer if protocol >= 5 else bytes
        return type(self), (self.blob, [kind(each) for each in self.buffers])

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes


def serialize(value: Any) -> Serialized:
    """Pickle a value as `anyjob.sdk.runner.dumps` does, with its large buffers out of band.

    Raises:
        Exception: it cannot be pickled.
    """
    return Serialized(*runner.dump_out_of_band(value, LARGE))


def load_file(path: str) -> Any:
    """Return the value that a file holds: a fresh copy."""
    return Serialized.from_file(path).load()


class FileReference:
    """A reference to a value in a file. Unpickled, it is that value."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return load_file, (self.path,)


def unpicklable_result(error: Exception, kind: str) -> dict[str, Any]:
    """Return the fields of the outcome of a call whose result cannot be pickled."""
    fields = runner.failure(error)
    fields["exception"] = None
    fields["traceback"] = ""
    fields["message"] = f"the call returned a {kind} that cannot be pickled: {error}"
    return fields
