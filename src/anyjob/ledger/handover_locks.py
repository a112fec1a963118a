"""Who is handing jobs over now: a lock for each bulk, from before it is in the ledger on.

It is held until the engine has answered. So a job that its engine does not know yet is told apart from one
whose submitter was killed in between. They are record locks, each of one byte of a common file: they end with
the process, whatever ends that.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

NAME = "ledger.handover"

_lock = threading.Lock()
_files: dict[Path, tuple[int, int, set[int]]] = {}
"""By path: the process, its descriptor, and what it holds. To close any other would let go of all of that."""


def hold(state: Path, bulk: int) -> None:
    """Hold the lock of a bulk that is being handed over; where that cannot be had, others know of none.

    Args:
        state: the directory of the ledger.
        bulk: its number.
    """
    with _lock, suppress(OSError):
        descriptor, held = _opened(state / NAME)
        fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, bulk)
        held.add(bulk)


def let_go(state: Path, bulks: Iterable[int]) -> None:
    """Let go of the locks of these bulks."""
    with _lock, suppress(OSError):
        descriptor, held = _opened(state / NAME)
        for bulk in held.intersection(bulks):
            fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, bulk)
            held.remove(bulk)
        _close_unused(state / NAME)


def held_of(state: Path, bulks: Iterable[int]) -> set[int]:
    """Return those of these bulks that somebody, of this process or another, is handing over now."""
    found = set()
    with _lock, suppress(OSError):
        descriptor, held = _opened(state / NAME)
        for bulk in bulks:
            if bulk in held:
                found.add(bulk)
                continue
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, bulk)
            except (BlockingIOError, PermissionError):
                found.add(bulk)
            else:
                fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, bulk)
        _close_unused(state / NAME)
    return found


def _opened(path: Path) -> tuple[int, set[int]]:
    process, descriptor, held = _files.get(path, (0, -1, set()))
    if process != os.getpid():  # what it was forked from holds its own
        if descriptor >= 0:
            os.close(descriptor)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        held = set()
        _files[path] = os.getpid(), descriptor, held
    return descriptor, held


def _close_unused(path: Path) -> None:
    _, descriptor, held = _files[path]
    if not held:
        del _files[path]
        os.close(descriptor)
