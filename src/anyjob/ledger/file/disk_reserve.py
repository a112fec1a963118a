"""Room on the disk, kept for the ledger: so that ends can be noted, and jobs forgotten, on a full one."""

from __future__ import annotations

import os
import time
from pathlib import Path

SIZE = 2 << 20
"""Bytes that are kept."""
SPARE = 10
"""How many times as much must be free: on a small disk nothing is kept."""
AGAIN = 1.0
"""Seconds after which room is sought again."""


class Reserve:
    """A file that takes room, and gives it up when the ledger needs it.

    Args:
        state: the state directory.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / "ledger.reserve"
        self._next = 0.0

    def keep(self) -> None:
        """Make it, unless it is there or there is little room; to be called again and again."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + AGAIN
        try:
            found = os.statvfs(self._path.parent)
            if self._path.exists() or found.f_bavail * found.f_frsize < SPARE * SIZE:
                return
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        try:
            os.posix_fallocate(fd, 0, SIZE)
        except OSError:
            self.give_up()
        finally:
            os.close(fd)

    def give_up(self) -> bool:
        """Remove it; return whether it was there."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
