"""What goes between client and workers by way of Dask, which copies none of its large buffers.

Schedulers speak an old version of pickle, without a place for buffers: so these come in Dask's own way.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from distributed import protocol as dask_protocol

from anyjob_dask.serialization import Serialized

Frames = Sequence[Any]
SMALL = 4096
"""Bytes up to which a result goes to the scheduler with the end of its task, and is kept there."""


class JobHeader(NamedTuple):
    """What a worker gets of a job, beside the payload: the work itself, serialized.

    Args:
        key: that of its task.
        job_id: ours.
        environment: variables that it gets.
        walltime: seconds after which it is ended; None: never.
        cwd: the directory that it runs in.
        own_cwd: whether it asks for that; else it is that of who has submitted it, if the worker has one of
            that name.
        needs: the ids of jobs that it starts after, and whose results come along.
        unused: those of them whose results are no arguments of a call.
    """

    key: str
    job_id: str
    environment: Mapping[str, str]
    walltime: float | None
    cwd: str | None
    own_cwd: bool
    needs: tuple[str, ...] = ()
    unused: frozenset[str] = frozenset()


class ScatteredPayload(Serialized):
    """The work of a job that was scattered to a worker ahead of its task."""

    __slots__ = ()


class JobResult:
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

    def to_small_bytes(self) -> bytes | None:
        """Return it as bytes that may go by way of the scheduler; None where it is too large for that."""
        size = sum(map(len, self.logs.values()))
        if self.value is not None:
            size += self.value.nbytes
        if size > SMALL:
            return None
        data = pickle.dumps((self.fields, None if self.value is None else self.value.blob, self.logs), 4)
        return data if len(data) <= SMALL else None

    @classmethod
    def from_bytes(cls, data: bytes) -> JobResult:
        """Return what `to_small_bytes` made bytes of."""
        fields, blob, logs = pickle.loads(data)
        return cls(fields, None if blob is None else Serialized(blob), logs)

    def __reduce__(self) -> Any:
        return JobResult, (self.fields, self.value, self.logs)

    def __sizeof__(self) -> int:
        value = 0 if self.value is None else sys.getsizeof(self.value)
        return object.__sizeof__(self) + value + sum(map(len, self.logs.values()))


def _serialize_payload(payload: ScatteredPayload) -> tuple[dict[str, Any], list[Any]]:
    views = [memoryview(each) for each in payload.buffers]
    return {"readonly": [view.readonly for view in views]}, [payload.blob, *views]


def _deserialize_payload(header: dict[str, Any], frames: Frames) -> ScatteredPayload:
    return ScatteredPayload(bytes(frames[0]), _writable(header["readonly"], frames[1:]))


def _serialize_result(result: JobResult) -> tuple[dict[str, Any], list[Any]]:
    blob, buffers = (None, []) if result.value is None else (result.value.blob, result.value.buffers)
    views = [memoryview(each) for each in buffers]
    first = pickle.dumps((result.fields, result.logs, blob), 4)
    return {"readonly": [view.readonly for view in views]}, [first, *views]


def _deserialize_result(header: dict[str, Any], frames: Frames) -> JobResult:
    fields, logs, blob = pickle.loads(frames[0])
    value = None if blob is None else Serialized(blob, _writable(header["readonly"], frames[1:]))
    return JobResult(fields, value, logs)


def _writable(readonly: Sequence[bool], frames: Frames) -> list[Any]:
    """Return buffers that can be written to, as those that they were made of could."""
    views = [memoryview(frame) for frame in frames]
    return [
        memoryview(bytearray(view)) if view.readonly and not was else view
        for view, was in zip(views, readonly, strict=True)
    ]


_serializers: Any = vars(dask_protocol)["dask_serialize"]
_deserializers: Any = vars(dask_protocol)["dask_deserialize"]
_serializers.register(ScatteredPayload)(_serialize_payload)
_deserializers.register(ScatteredPayload)(_deserialize_payload)
_serializers.register(JobResult)(_serialize_result)
_deserializers.register(JobResult)(_deserialize_result)
