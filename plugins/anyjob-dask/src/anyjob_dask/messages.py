"""What goes between client and workers by way of Dask, which copies none of its large buffers.

Schedulers speak an old version of pickle, without a place for buffers: so these come in Dask's own way.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from typing import Any

from distributed import protocol

from anyjob_dask.serialization import Serialized

Frames = Sequence[Any]
SMALL = 4096
"""Bytes up to which what came of a job is told with its end, and kept by the scheduler."""
RESULT = "anyjob"
"""Under which name a worker tells it, among what Dask calls the metadata of a task."""


class Body(Serialized):
    """The work of a job, sent ahead of its task."""

    __slots__ = ()


class Ended:
    """What came of a job, as it lies in a worker's memory.

    Args:
        fields: those of an `anyjob.Outcome`, less the value.
        value: what the work returned.
        logs: what it wrote, by stream.
    """

    __slots__ = ("fields", "logs", "value")

    def __init__(self, fields: dict[str, Any], value: Serialized | None, logs: dict[str, bytes]) -> None:
        self.fields = fields
        self.value = value
        self.logs = logs

    def small(self) -> bytes | None:
        """Return it as bytes that may go by way of the scheduler; None where it is too large for that."""
        size = sum(map(len, self.logs.values()))
        if self.value is not None:
            size += self.value.nbytes
        if size > SMALL:
            return None
        data = pickle.dumps((self.fields, None if self.value is None else self.value.blob, self.logs), 4)
        return data if len(data) <= SMALL else None

    @classmethod
    def opened(cls, data: bytes) -> Ended:
        """Return what `small` made bytes of."""
        fields, blob, logs = pickle.loads(data)
        return cls(fields, None if blob is None else Serialized(blob), logs)

    def __reduce__(self) -> Any:
        return Ended, (self.fields, self.value, self.logs)

    def __sizeof__(self) -> int:
        value = 0 if self.value is None else sys.getsizeof(self.value)
        return object.__sizeof__(self) + value + sum(map(len, self.logs.values()))


def _dump_body(body: Body) -> tuple[dict[str, Any], list[Any]]:
    views = [memoryview(each) for each in body.buffers]
    return {"readonly": [view.readonly for view in views]}, [body.blob, *views]


def _load_body(header: dict[str, Any], frames: Frames) -> Body:
    return Body(bytes(frames[0]), _writable(header["readonly"], frames[1:]))


def _dump_ended(ended: Ended) -> tuple[dict[str, Any], list[Any]]:
    blob, buffers = (None, []) if ended.value is None else (ended.value.blob, ended.value.buffers)
    views = [memoryview(each) for each in buffers]
    head = pickle.dumps((ended.fields, ended.logs, blob), 4)
    return {"readonly": [view.readonly for view in views]}, [head, *views]


def _load_ended(header: dict[str, Any], frames: Frames) -> Ended:
    fields, logs, blob = pickle.loads(frames[0])
    value = None if blob is None else Serialized(blob, _writable(header["readonly"], frames[1:]))
    return Ended(fields, value, logs)


def _writable(readonly: Sequence[bool], frames: Frames) -> list[Any]:
    """Return buffers that can be written to, as those that they were made of could."""
    views = [memoryview(frame) for frame in frames]
    return [
        memoryview(bytearray(view)) if view.readonly and not was else view
        for view, was in zip(views, readonly, strict=True)
    ]


_dumps: Any = vars(protocol)["dask_serialize"]
_loads: Any = vars(protocol)["dask_deserialize"]
_dumps.register(Body)(_dump_body)
_loads.register(Body)(_load_body)
_dumps.register(Ended)(_dump_ended)
_loads.register(Ended)(_load_ended)
