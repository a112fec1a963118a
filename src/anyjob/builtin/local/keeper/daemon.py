"""What the keeper does to become a process of its own, and to know itself."""

from __future__ import annotations

import os
import socket
import sys


def trust(directory: str) -> None:
    """Make sure that nobody else can have put anything into a directory.

    Raises:
        SystemExit: somebody else can.
    """
    found = os.stat(directory)
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        sys.exit(f"{directory} is somebody else's, or others may write to it: it is not used")


def detach(errors: str) -> None:
    """Leave the session, streams and descriptors of whoever started us."""
    try:
        os.setsid()
    except PermissionError:
        if os.getsid(0) != os.getpid():
            if os.fork():
                os._exit(0)
            os.setsid()
    os.chdir("/")
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:
                continue  # the one that listed them
    null = os.open(os.devnull, os.O_RDWR)
    output = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    if os.fstat(output).st_size > 1 << 20:
        os.ftruncate(output, 0)
    for number, source in enumerate((null, output, output)):
        os.dup2(source, number)
    os.close(null)
    os.close(output)


def adopt_orphans() -> None:
    """Have Linux make us the parent of what our jobs and zygotes leave behind."""
    import ctypes

    ctypes.CDLL(None).prctl(36, 1)


def listen(path: str) -> socket.socket:
    """Listen on a socket that only this user may use; a stale one is replaced."""
    if os.path.lexists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(16)
    listener.setblocking(False)
    return listener


def own_peak() -> int:
    """Return the most memory that this process has had resident, in bytes."""
    with open("/proc/self/status", "rb") as stream:
        for line in stream:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def complain(error: BaseException) -> None:
    """Write an error to stderr, which is ``keeper.err``."""
    import traceback

    try:
        traceback.print_exception(error)
        sys.stderr.flush()
    except OSError:
        return
