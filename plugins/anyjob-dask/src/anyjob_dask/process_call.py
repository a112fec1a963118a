"""A call on its way into the process that makes it, and its value on the way back; large buffers by files."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from anyjob.execution import runner
from anyjob_dask.serialization import Serialized, pack

RETURNED = "returned.parcel"
GIVEN = "given.parcel"
NOTHING = runner.dumps(None)
"""What a process says whose call has left a file; others say `Pickled`, even of None."""


def payload(body: bytes | Serialized, directory: str) -> bytes:
    """Return what the process unpickles: what to call, and with what.

    Args:
        body: the pickled call.
        directory: the job's own, for files.
    """
    if isinstance(body, Serialized):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        body.write(Path(directory, GIVEN))
        return pickle.dumps(ProcessCall(None, directory), 5)
    return pickle.dumps(ProcessCall(body, directory), 5)


class ProcessCall:
    """Unpickled, it is what the runner takes: a function, its positional and its keyword arguments."""

    def __init__(self, body: bytes | None, directory: str) -> None:
        self.body = body
        self.directory = directory

    def __reduce__(self) -> Any:
        return _open, (self.body, self.directory)


def _open(body: bytes | None, directory: str) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    call = Serialized.mapped(os.path.join(directory, GIVEN)).load() if body is None else pickle.loads(body)
    return _make, (directory, *call), {}


def _make(directory: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make the call. What it returns goes back by a file where it is large."""
    value = runner.resolve(fn)(*args, **kwargs)
    try:
        parcel = pack(value)
    except Exception:
        return value  # the runner says what is wrong with it
    if not parcel.buffers:
        return Pickled(parcel.blob)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    parcel.write(Path(directory, RETURNED))
    return None


class Pickled:
    """Stands for a value that is pickled already: unpickled, it is that value."""

    def __init__(self, blob: bytes) -> None:
        self.blob = blob

    def __reduce__(self) -> Any:
        return pickle.loads, (self.blob,)


def returned(directory: str, value: bytes) -> Serialized:
    """Return what a call gave back: by a file, where it has left one, else what it said."""
    if value == NOTHING:
        path = os.path.join(directory, RETURNED)
        if os.path.exists(path):
            return Serialized.mapped(path)
    return Serialized(value)
