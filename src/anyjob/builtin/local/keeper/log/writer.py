"""Appends to the keeper's log, which it alone writes: a line whole or not at all."""

from __future__ import annotations

import os

from anyjob.spool.private_files import sync_directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class LogWriter:
    """Appends to a log, a line whole or not at all.

    Args:
        path: the file; made where there is none.
        durable: have each start and each end reach the disk before going on.
    """

    def __init__(self, path: str, durable: bool = False) -> None:
        self.path = path
        self.durable = durable
        self._fd = _open(path, 0)
        self.size = os.fstat(self._fd).st_size
        if self.size:
            self._cut_torn_line()

    def _cut_torn_line(self) -> None:
        """Remove a last line that has no end: an earlier keeper died while it wrote."""
        before = max(0, self.size - (1 << 16))
        tail = os.pread(self._fd, 1 << 16, before)
        whole = before + tail.rfind(b"\n") + 1
        if whole < self.size:
            os.ftruncate(self._fd, whole)
            self.size = whole

    def append(self, line: bytes, *, sync: bool = False) -> None:
        """Write a line.

        Raises:
            OSError: it cannot be written, and nothing of it is there.
        """
        try:
            written = os.write(self._fd, line)
            if written < len(line):
                raise OSError(28, "No space left on device", self.path)
            if sync and self.durable:
                os.fdatasync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self.size += len(line)

    def make_durable(self) -> None:
        """Have each start and each end reach the disk from now on, in a file whose name has.

        Raises:
            OSError: the disk has failed.
        """
        if not self.durable:
            self._sync_name()
            self.durable = True

    def _sync_name(self) -> None:
        from pathlib import Path

        logs = Path(self.path).parent
        sync_directories(logs, logs.parent)

    def compact(self, running: Iterable[bytes], offset: int | None = None) -> None:
        """Forget what has ended.

        Args:
            running: the lines of what runs.
            offset: lines from here on are kept as they are.

        Raises:
            OSError: it cannot be written; the log is as before.
        """
        tail = b"" if offset is None else os.pread(self._fd, max(0, self.size - offset), offset)
        content = b"".join(running) + tail
        beside = self.path + ".new"
        fd = _open(beside, os.O_TRUNC)
        try:
            if os.write(fd, content) < len(content):
                raise OSError(28, "No space left on device", beside)
            os.fsync(fd)
            os.rename(beside, self.path)
        except OSError:
            os.close(fd)
            os.unlink(beside)
            raise
        if self.durable:
            self._sync_name()
        os.close(self._fd)
        self._fd, self.size = fd, len(content)


def _open(path: str, more: int) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | more, 0o600)
