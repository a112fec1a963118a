"""Passes a call to the process that makes it, and its value back; large buffers go by files."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anyjob.sdk import runner
from anyjob_dask.serialization import LARGE, Serialized, serialize
from anyjob_dask.worker.work import Need, Work

VALUE_FILE = "value.pickle"
CALL_FILE = "call.pickle"
NEED_FILE = "need-{}.pickle"
PICKLED_NONE = runner.dumps(None)
"""What a process answers whose value is in a file; a value of None is answered as `PickledValue`."""


def needs_files(work: Work) -> bool:
    """Tell whether parts of a call go by files, which takes a while."""
    return isinstance(work.payload, Serialized) or any(map(_is_large, work.needs.values()))


def pickled_call(work: Work, directory: str) -> bytes:
    """Return what the process unpickles: what to call, and with what.

    Args:
        work: the call.
        directory: the job's own, for files.
    """
    payload: bytes | None = None
    if isinstance(work.payload, Serialized):
        _write(work.payload, directory, CALL_FILE)
    else:
        payload = work.payload
    needs: dict[str, Any] = {}
    for number, (job_id, need) in enumerate(work.needs.items()):
        value: Any = None
        if need.value is not None and _is_large(need):
            value = NEED_FILE.format(number)
            _write(need.value, directory, value)
        elif need.value is not None:
            value = need.value.blob
        needs[job_id] = need.ending, value
    return pickle.dumps(ProcessCall(payload, directory, needs), 5)


def _is_large(need: Need) -> bool:
    return need.value is not None and (bool(need.value.buffers) or need.value.nbytes > LARGE)


def _write(serialized: Serialized, directory: str, name: str) -> None:
    os.makedirs(directory, mode=0o700, exist_ok=True)
    serialized.write(Path(directory, name))


class ProcessCall:
    """Unpickled, it is what the runner takes: a function, its positional and its keyword arguments."""

    def __init__(self, payload: bytes | None, directory: str, needs: Mapping[str, Any]) -> None:
        self.arguments = payload, directory, needs

    def __reduce__(self) -> Any:
        return _load_call, self.arguments


def _load_call(
    payload: bytes | None, directory: str, needs: Mapping[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    given: bytes | Serialized
    given = Serialized.from_file(os.path.join(directory, CALL_FILE)) if payload is None else payload
    return (
        _call,
        (directory, *Work(given, {i: _need(directory, *each) for i, each in needs.items()}).load()),
        {},
    )


def _need(directory: str, ending: tuple[str, str | None, str], value: Any) -> Need:
    if value is None:
        return Need(ending, None)
    if isinstance(value, bytes):
        return Need(ending, Serialized(value))
    return Need(ending, Serialized.from_file(os.path.join(directory, value)))


def _call(directory: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Make the call. What it returns goes back by a file where it is large."""
    value = runner.resolve(fn)(*args, **kwargs)
    try:
        serialized = serialize(value)
    except Exception:
        return value  # the runner says what is wrong with it
    if not serialized.buffers:
        return PickledValue(serialized.blob)
    _write(serialized, directory, VALUE_FILE)
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
