"""Messages over a stream of bytes: four bytes of length, then so many of msgpack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from anyjob.remote.messages import LARGEST

_SIZE = 4


class NotOurs(Exception):
    """What came is no message of this protocol."""


def encode(number: int, word: str, body: Any) -> bytes:
    """Return a message.

    Args:
        number: that of the request; 0 for what is told unasked.
        word: what is asked; of an answer ``ok`` or ``error``.
        body: one of the types of `anyjob.remote.messages`, or None.
    """
    encoded = msgspec.msgpack.encode((number, word, body))
    return len(encoded).to_bytes(_SIZE, "big") + encoded


def decode(data: bytes) -> tuple[int, str, bytes]:
    """Return the number and the word of a message, and its body as it was written.

    Raises:
        NotOurs: it is none.
    """
    try:
        number, word, body = msgspec.msgpack.decode(data, type=tuple[int, str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotOurs(f"no message: {error}") from None
    return number, word, bytes(body)


def decode_body(body: bytes, kind: Any) -> Any:
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

    def feed(self, data: bytes) -> Iterator[bytes]:
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
            if len(held) - start - _SIZE < size:
                break
            start += _SIZE + size
            yield bytes(held[start - size : start])
        if start:
            del held[:start]
