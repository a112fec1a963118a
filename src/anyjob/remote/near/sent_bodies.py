"""Bodies on their way to another machine: in parts, some of which are on their way at a time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from typing import Any

from anyjob.errors import AnyjobError
from anyjob.remote.messages import Put
from anyjob.remote.near.channel import Channel, answered
from anyjob.remote.near.connection import WINDOW


class SentBody:
    """Sends a body, which is named by its hash at its end.

    Args:
        channel: what it goes over.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._number = next(channel.bodies)
        self._offset = 0
        self._waiting: deque[Future[Any]] = deque()

    def put(self, data: bytes | memoryview, sha256: str = "") -> None:
        """Send a part: of at most `CHUNK` bytes, which nobody may change from now on.

        Args:
            data: the part.
            sha256: of the last part, the hash of all; it is there when this returns.

        Raises:
            BackendUnavailableError: the channel is gone.
            BackendError: the far side could not take it in.
        """
        while self._waiting and (sha256 or len(self._waiting) >= WINDOW):
            answered(self._waiting.popleft())  # all before the last one: several threads write them there
        part = Put(self._number, self._offset, sha256, data=memoryview(data))
        self._waiting.append(self._channel.send("put", part))
        self._offset += len(data)
        if sha256:
            answered(self._waiting.popleft())


class SentAhead:
    """Sends a body while its content is taken. Where that fails, it is sent afterwards, as others are.

    Args:
        channel: what it goes over.
    """

    def __init__(self, channel: Channel) -> None:
        self._body: SentBody | None = SentBody(channel)

    def put(self, data: bytes) -> None:
        """Send a part."""
        self._put(data)

    def end(self, sha256: str) -> None:
        """Say what the hash of all is: it is there when this returns, if it could be sent."""
        self._put(b"", sha256)

    def _put(self, data: bytes, sha256: str = "") -> None:
        try:
            if self._body is not None:
                self._body.put(data, sha256)
        except AnyjobError:
            self._body = None
