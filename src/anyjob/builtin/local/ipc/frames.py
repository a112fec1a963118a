"""Messages over a stream socket: 4 bytes of length, little-endian, then that many of plain data."""

from __future__ import annotations

import socket

from anyjob.spool import plain_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LARGEST = 1 << 30
"""Bytes of content that are taken for a message; more is somebody who speaks something else."""
_CHUNK = 1 << 16
"""Bytes that are read at a time: for more, each read would map and unmap memory."""
TOGETHER = 64
"""Messages that are sent as one piece of data, at most."""
_FLAGS = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


class FrameSocket:
    """Sends and receives messages over a connected stream socket.

    Sending never blocks. Receiving blocks where the socket does. One thread may send while another
    receives.

    Args:
        sock: the socket; it is closed by `close`.
        together: what is sent at a time goes as lists of messages: what these have in common is written and
            read once. The other end has to be one of these, too.
    """

    def __init__(self, sock: socket.socket, *, together: bool = False) -> None:
        self._sock = sock
        self._together: list[Any] | None = [] if together else None
        self._out = bytearray()
        self._in = bytearray()
        self.was_reset = False
        """Whether the other end has gone without having read all that was sent."""

    def fileno(self) -> int:
        """Return the descriptor, for a selector; -1 once closed."""
        return self._sock.fileno()

    @property
    def pending(self) -> int:
        """How many bytes `flush` has left to send, as far as they are known: 0 where it has none."""
        return len(self._out) + bool(self._together)

    def send(self, message: Any) -> None:
        """Add a message to what `flush` sends."""
        if self._together is None:
            self._add(message)
            return
        self._together.append(message)
        if len(self._together) == TOGETHER:
            self._add_together()

    def _add_together(self) -> None:
        if self._together:
            self._add(self._together)
            self._together = []

    def _add(self, data: Any) -> None:
        content = plain_data.dumps(data)
        self._out += len(content).to_bytes(4, "little")
        self._out += content

    def flush(self) -> bool:
        """Send as much as the other end takes now. Return True once nothing is left.

        Raises:
            OSError: the connection is broken.
        """
        self._add_together()
        while self._out:
            try:
                sent = self._sock.send(self._out, _FLAGS)
            except BlockingIOError:
                return False
            del self._out[:sent]
        return True

    def receive(self) -> list[Any]:
        """Read once, and return the messages that are whole now: often none, sometimes many.

        Raises:
            EOFError: the other end has closed, and every message before that has been returned.
            OSError: the connection is broken, or what comes are no such messages.
        """
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            self.was_reset = True
            data = b""
        if not data:
            raise EOFError
        self._in += data
        messages = []
        at = 0
        while len(self._in) - at >= 4:
            size = int.from_bytes(self._in[at : at + 4], "little")
            if size > LARGEST:
                raise ConnectionError(f"a message of {size} bytes: the other end speaks something else")
            if len(self._in) - at - 4 < size:
                break
            try:
                data = plain_data.loads(bytes(self._in[at + 4 : at + 4 + size]))
            except ValueError as error:
                raise ConnectionError(f"{error}: the other end speaks something else") from None
            messages += data if self._together is not None and isinstance(data, list) else [data]
            at += 4 + size
        del self._in[:at]
        return messages

    def shutdown(self) -> None:
        """End the connection in both directions, so that a thread in `receive` wakes."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Close the socket. May be called twice."""
        self._sock.close()
