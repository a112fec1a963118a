"""Messages over a stream of bytes: four bytes of length, then so many of msgpack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec

from anyjob.remote.messages import LARGEST, WithData

_SIZE = 4
_READ = 1 << 16  # what a pipe holds: for more, each read would map memory of its own
_NONE = memoryview(b"")
_NO_BYTES = msgspec.msgpack.encode(b"")
_BYTES = b"\xc6"  # of msgpack: so many bytes as the next four say


class NotOurs(Exception):
    """What came is no message of this protocol."""


def encode(number: int, word: str, body: Any) -> tuple[bytes, bytes | memoryview]:
    """Return a message in two parts: all but the large data at its end, and these, which are not copied.

    Args:
        number: that of the request; 0 for what is told unasked.
        word: what is asked; of an answer ``ok`` or ``error``.
        body: one of the types of `anyjob.remote.messages`, or None.
    """
    data: bytes | memoryview = b""
    if isinstance(body, WithData):
        data, body = body.data, msgspec.structs.replace(body, data=_NONE)
    encoded = msgspec.msgpack.encode((number, word, body))
    if isinstance(body, WithData):  # it is what comes last
        encoded = encoded[: -len(_NO_BYTES)] + _BYTES + len(data).to_bytes(4, "big")
    return (len(encoded) + len(data)).to_bytes(_SIZE, "big") + encoded, data


def decode(data: bytes | bytearray) -> tuple[int, str, msgspec.Raw]:
    """Return the number and the word of a message, and its body as it was written, which is not copied.

    Raises:
        NotOurs: it is none.
    """
    try:
        return msgspec.msgpack.decode(data, type=tuple[int, str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotOurs(f"no message: {error}") from None


def decode_body(body: msgspec.Raw | bytes, kind: Any) -> Any:
    """Return the body of a message, which must be of a type; None where none is told.

    Raises:
        NotOurs: it is not.
    """
    if kind is None:
        return None
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotOurs(f"no {kind.__name__}: {error}") from None


class FrameReader:
    """Puts messages together of what is read."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._large: bytearray | None = None  # a message that is more than a read: each byte is copied once
        self._filled = 0

    def read(self, descriptor: int) -> Iterator[bytes | bytearray]:
        """Read what has come, once; yield each message that is whole by that.

        Raises:
            EOFError: nothing comes any more.
            NotOurs: it is larger than any of ours.
            OSError: it cannot be read.
        """
        large = self._large = self._large or self._begun_large()
        if large is None:
            data = os.read(descriptor, _READ)
            if not data:
                raise EOFError
            yield from self.feed(data)
            return
        with memoryview(large) as view:
            count = os.readv(descriptor, [view[self._filled :]])
        if not count:
            raise EOFError
        self._filled += count
        if self._filled == len(large):
            self._large = None
            yield large

    def _begun_large(self) -> bytearray | None:
        """Return where all of a message goes that has begun, if it is more than a read."""
        held = self._held
        size = int.from_bytes(held[:_SIZE], "big") if len(held) >= _SIZE else 0
        if size <= _READ:
            return None
        large = bytearray(size)
        self._filled = len(held) - _SIZE
        large[: self._filled] = held[_SIZE:]
        held.clear()
        return large

    def feed(self, data: bytes) -> Iterator[bytes | bytearray]:
        """Take in what was read; yield each message that is whole by that.

        Raises:
            NotOurs: it is larger than any of ours.
        """
        held = self._held
        held += data
        start = 0
        while len(held) - start >= _SIZE:
            size = int.from_bytes(held[start : start + _SIZE], "big")
            if size > LARGEST:
                raise NotOurs(f"a message of {size:,} bytes")
            begin, end = start + _SIZE, start + _SIZE + size
            if len(held) < end:
                break
            start = end
            with memoryview(held) as view:
                message = bytes(view[begin:end])
            yield message
        if start:
            del held[:start]
