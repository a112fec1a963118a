"""What takes memory in tests: never more than the system lets it."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from typing import Any

MIB = 1 << 20
MOST = 1 << 30


def hold(size: int) -> bytearray:
    """Take so many MiB."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    return bytearray(b"x") * (size * MIB)


def grow(size: int) -> None:
    """Take memory in steps, up to so many MiB, and keep it."""
    held = []
    for _ in range(0, size, 5):
        held.append(hold(5))
        time.sleep(0.005)
    time.sleep(600)


def keep(size: int) -> int:
    """Take so many MiB, long enough to be seen, and give them back."""
    held = hold(size)
    time.sleep(0.5)
    return len(held) // MIB


def wait_at(fifo: str) -> None:
    """Wait until somebody writes to a pipe with a name."""
    with open(fifo, "rb", buffering=0) as stream:
        stream.read(1)


def daemonize(fn: Callable[..., Any], *args: Any) -> None:
    """Call a function in a process that has left the session, and whose parent has gone; write its pid."""
    reader, writer = os.pipe()
    if os.fork():
        os.read(reader, 1)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.write(1, b"%d\n" % os.getpid())
    os.write(writer, b".")
    fn(*args)
    os._exit(0)
