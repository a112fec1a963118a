"""Passes a call to the process that makes it, and its value back; large buffers go by files."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from anyjob.sdk import runner
from anyjob_dask.serialization import Serialized, serialize

VALUE_FILE = "value.pickle"
CALL_FILE = "call.pickle"
PICKLED_NONE = runner.dumps(None)
"""What a process answers whose value is in a file; a value of None is answered as `PickledValue`."""


def pickled_call(payload: bytes | Serialized, directory: str) -> bytes:
    """Return what the process unpickles: what to call, and with what.

    Args:
        payload: the call, serialized.
        directory: the job's own, for files.
    """
    if isinstance(payload, Serialized):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        payload.write(Path(directory, CALL_FILE))
        return pickle.dumps(ProcessCall(None, directory), 5)
    return pickle.dumps(ProcessCall(payload, directory), 5)


class ProcessCall:
    """Unpickled, it is what the runner takes: a function, its positional and its keyword arguments."""

    def __init__(self, payload: bytes | None, directory: str) -> None:
        self.payload = payload
        self.directory = directory

    def __reduce__(self) -> Any:
        return _load_call, (self.payload, self.directory)


def _load_call(payload: bytes | None, directory: str) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    if payload is None:
        call = Serialized.from_file(os.path.join(directory, CALL_FILE)).load()
    else:
        call = pickle.loads(payload)
    return _call, (directory, *call), {}


def _call(directory: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make the call. What it returns goes back by a file where it is large."""
    value = runner.resolve(fn)(*args, **kwargs)
    try:
        serialized = serialize(value)
    except Exception:
        return value  # the runner says what is wrong with it
    if not serialized.buffers:
        return PickledValue(serialized.blob)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    serialized.write(Path(directory, VALUE_FILE))
    return None


class PickledValue:
    """Stands for a value that is pickled already: unpickled, it is that value."""

    def __init__(self, blob: bytes) -> None:
        self.blob = blob

    def __reduce__(self) -> Any:
        return pickle.loads, (self.blob,)


def returned_value(directory: str, value: bytes) -> Serialized:
    """Return what a call gave back: by a file, where it has left one, else what it said."""
    if value == PICKLED_NONE:
        path = os.path.join(directory, VALUE_FILE)
        if os.path.exists(path):
            return Serialized.from_file(path)
    return Serialized(value)
