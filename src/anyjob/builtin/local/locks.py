"""Locks between processes: POSIX record locks, which no child inherits, and which end with who holds them."""

from __future__ import annotations

import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    StrPath = str | os.PathLike[str]

_FLOCK = "hhqqi"


def take_lock(path: StrPath) -> int | None:
    """Take a lock that ends with this process, or when the descriptor that is returned is closed.

    Returns:
        None where another process has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


UNSEEN = 0
"""What `lock_holder` says of a process in another pid namespace (a container's, or the host's), or on
another machine. It is no pid: to ``kill`` it means all of a process group."""


def lock_holder(path: StrPath) -> int | None:
    """Return the pid of the process that has a lock; None where none has. It is not taken for that.

    `UNSEEN` where that process has no pid here.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else max(int(pid), UNSEEN)


def is_in_place(descriptor: int, path: StrPath) -> bool:
    """Tell whether the file of a lock that was taken is still the one at its path: nobody has removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
