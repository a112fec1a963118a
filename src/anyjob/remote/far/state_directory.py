"""What tells the state directory of the far end from all others, and who hands over to it at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anyjob.spool.private_files import make_private, write_private


def identity(state: Path) -> str:
    """Return what tells a state directory from all others, also from one that takes its place.

    Raises:
        OSError: it cannot be read, or written where there is none yet.
    """
    path = state / "remote" / "identity"
    with suppress(FileNotFoundError):
        return path.read_text()
    with handing_over(state):
        if not path.exists():
            write_private(path, os.urandom(10).hex().encode(), durable=True)
    return path.read_text()


def machine() -> str:
    """Return what tells this machine from all others, where it has that; nobody learns its id by it.

    A container may have none of its own: it has what its kernel is told from others by, until the next boot.
    """
    import hashlib

    for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with suppress(OSError):
            if known := Path(path).read_bytes().strip():
                return hashlib.sha256(b"anyjob " + known).hexdigest()[:20]
    return ""


@contextmanager
def handing_over(state: Path) -> Iterator[None]:
    """Keep others from handing over at the same time, in this process and in others of this machine."""
    directory = state / "remote"
    make_private(directory)
    descriptor = os.open(directory / "submitting", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
