"""Pickles that go piece by piece, so that what is large is not held twice: over a socket, or into a file.

It imports the standard library and `runner` alone, by their places: workers of any Python load both so.
"""

from __future__ import annotations

import os
import pickle

from . import runner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

SMALL = 64 * 1024
"""Bytes of a pickle up to which it is held in memory."""
_DATA = 2 * SMALL
"""Bytes from which a piece is data, in which no name of a module is sought: pickle has names in frames."""


def dump_plainly(
    value: Any,
    write: Callable[[Any], object],
    buffer_callback: Callable[[pickle.PickleBuffer], object] | None = None,
) -> bool:
    """Pickle a value with the standard pickler; tell whether what was written is of use elsewhere.

    Args:
        value: the value.
        write: called with the pieces: bytes, or the very buffers of large data.
        buffer_callback: as that of `pickle.Pickler`.

    Returns:
        False where `runner.dump_by_value` is to have it.
    """
    usable = True

    class Pieces:
        def write(self, piece: Any) -> None:
            nonlocal usable
            piece = _plain(piece)
            usable = usable and (len(piece) > _DATA or not runner.names_sent_along(piece))
            write(piece)

    try:
        pickle.Pickler(Pieces(), 5, buffer_callback=buffer_callback).dump(value)
    except Exception:  # what a value's own pickling raises is not to be foreseen
        return False
    return usable


def dump_or_spill(value: Any, path: Callable[[], str]) -> bytes | None:
    """Pickle a value as `runner.dumps` does; return None where the pickle is large, and is in a file.

    Args:
        value: the value.
        path: says which file; called where one is needed. Where it cannot be written there is none.

    Raises:
        Exception: it cannot be pickled; of whatever type the value's own code raises.
    """
    spill = _Spill(path)
    try:
        if not dump_plainly(value, spill.write):
            spill.restart()
            runner.dump_by_value(value, spill)
        return spill.close()
    except OSError:  # no space, most likely
        spill.restart()
        return runner.dumps(value)
    except BaseException:
        spill.restart()
        raise


class _Spill:
    """Holds what is written to it: in memory, and in a file once that is more than `SMALL`."""

    def __init__(self, path: Callable[[], str]) -> None:
        self._make_path = path
        self._held = bytearray()
        self._file: BinaryIO | None = None
        self._path = ""

    def write(self, piece: Any) -> None:
        piece = _plain(piece)
        if self._file is None:
            if len(self._held) + len(piece) <= SMALL:
                self._held += piece
                return
            self._path = self._make_path()
            mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = open(os.open(self._path, mode, 0o600), "wb", buffering=0)  # noqa: SIM115
            _write_all(self._file.fileno(), self._held)
        _write_all(self._file.fileno(), piece)

    def restart(self) -> None:
        """Forget what was written."""
        if self._file is not None:
            self._file.close()
            os.unlink(self._path)
        self._file, self._held = None, bytearray()

    def close(self) -> bytes | None:
        """Return what was written; None where it is in the file."""
        if self._file is None:
            return bytes(self._held)
        self._file.close()
        return None


class MessageWriter:
    """Writes messages in pieces: each after 8 bytes of length, and 8 zeros behind the last.

    Where nobody reads them any more, it goes on as if somebody did.

    Args:
        fd: where to; it blocks.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._held = bytearray()
        self._is_broken = False

    def write(self, piece: Any) -> None:
        """Write a piece of the message."""
        piece = _plain(piece)
        if not len(piece):
            return
        self._held += len(piece).to_bytes(8, "little")
        if len(piece) <= SMALL:
            self._held += piece
        else:
            self._send(self._held)
            self._send(piece)
            self._held = bytearray()

    def end(self) -> None:
        """End the message."""
        self._held += bytes(8)
        self._send(self._held)
        self._held = bytearray()

    def _send(self, data: Any) -> None:
        try:
            if not self._is_broken:
                _write_all(self._fd, data)
        except OSError:
            self._is_broken = True


class MessageReader:
    """Reads messages that `MessageWriter` has written, each as a file that pickle reads.

    Args:
        stream: where from; buffered.

    Raises:
        EOFError: (all methods) whoever writes has gone.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = 0
        self._is_over = True

    def read_piece(self) -> bytes | bytearray:
        """Return the next piece, whole; the first one begins a message. A large one can be written to."""
        self._begin_piece()
        size = self._left
        if size <= SMALL:
            self._left = 0
            small = self._stream.read(size)
            if len(small) < size:
                raise EOFError
            return small
        piece = bytearray(size)
        self.readinto(piece)
        return piece

    def read(self, size: int) -> bytes:
        """Read so many bytes; fewer at the end of the message."""
        data = bytearray(size)
        return bytes(memoryview(data)[: self.readinto(data)])

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; return how many bytes there were."""
        view = memoryview(buffer)
        done = 0
        while done < len(view):
            if not self._left and (self._is_over or not self._begin_piece()):
                break
            count: int = self._stream.readinto(view[done : done + self._left])  # type: ignore[attr-defined]
            if not count:
                raise EOFError
            done += count
            self._left -= count
        return done

    def readline(self) -> bytes:
        """Read a line, as pickles of old have them."""
        line = b""
        while not line.endswith(b"\n") and (one := self.read(1)):
            line += one
        return line

    def skip(self) -> None:
        """Read what is left of the message."""
        while not self._is_over:
            self.read(SMALL)

    def _begin_piece(self) -> bool:
        head = self._stream.read(8)
        if len(head) < 8:
            raise EOFError
        self._left = int.from_bytes(head, "little")
        self._is_over = not self._left
        return not self._is_over


def read_frame(stream: BinaryIO) -> bytes:
    """Read one frame: 8 bytes of length, then that many. Raises EOFError at the end."""
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    size = int.from_bytes(head, "little")
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def write_frame(fd: int, data: bytes) -> None:
    """Write one frame."""
    _write_all(fd, len(data).to_bytes(8, "little") + data)


def _plain(piece: Any) -> Any:
    """Return a piece of a pickle as plain bytes, without a copy."""
    return piece.raw() if isinstance(piece, pickle.PickleBuffer) else piece


def _write_all(fd: int, data: Any) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
