"""Calls on their way to another process of this machine: pickled as they were handed over, unless large."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from anyjob.specs import Call
from anyjob.standalone import runner
from anyjob.standalone.pickle_streams import SMALL, MessageWriter, dump_plainly


class Part:
    """A pickle, and the buffers of large data that it leaves out: the caller's own until it is sent.

    Args:
        pickled: the pickle; None where that is large itself, and is made each time that it is sent.
        value: what is pickled then.
        buffers: what it leaves out.
    """

    __slots__ = ("buffers", "pickled", "value")

    def __init__(self, pickled: bytes | None, value: Any = None, buffers: Sequence[memoryview] = ()) -> None:
        self.pickled = pickled
        self.value = value
        self.buffers = buffers

    def write(self, message: MessageWriter) -> None:
        """Write the buffers, and the pickle after them.

        Raises:
            Exception: it cannot be pickled any more; of whatever type the value's own code raises.
        """
        if self.pickled is None:
            pickle.Pickler(message, 5).dump(self.value)
            return
        for buffer in self.buffers:
            message.write(buffer)
        message.write(self.pickled)


class Packer:
    """Packs calls that are handed over together: what they call is pickled once.

    Buffers of large data (arrays) are not copied, and what makes a large pickle, and has no code of the
    caller's in it, is pickled when it is sent: so no more of it is held than the caller holds.
    """

    def __init__(self) -> None:
        self._functions: dict[int, tuple[Any, Part]] = {}

    def pack(self, spec: Call) -> tuple[Part, Part]:
        """Return what is called, and its arguments.

        Raises:
            SerializationError: something in it cannot be pickled; the message names it.
        """
        try:
            known = self._functions.get(id(spec.fn))
            if known is None:
                known = self._functions[id(spec.fn)] = spec.fn, _pack(spec.fn)
            return known[1], _pack((spec.args, spec.kwargs))
        except Exception as error:
            from anyjob.serialization.unpicklable import serialization_error

            raise serialization_error(spec, error) from error


def _pack(value: Any) -> Part:
    buffers: list[memoryview] = []
    held = bytearray()
    size = 0

    def leave_out(buffer: pickle.PickleBuffer) -> bool:
        """Tell pickle which buffers are part of the pickle."""
        raw = buffer.raw()
        if len(raw) > SMALL:
            buffers.append(raw)
        return len(raw) <= SMALL

    def write(piece: Any) -> None:
        nonlocal held, size
        size += len(piece)
        if size <= SMALL:
            held += piece

    if dump_plainly(value, write, leave_out):
        return Part(bytes(held), None, buffers) if size <= SMALL else Part(None, value)
    buffers.clear()
    return Part(runner.dumps_by_value(value, leave_out), None, buffers)
