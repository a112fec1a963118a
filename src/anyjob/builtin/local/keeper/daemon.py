"""What the keeper does to become a daemon: a process of its own, whose errors go to a file."""

from __future__ import annotations

import ctypes
import os
import sys

_SET_CHILD_SUBREAPER = 36  # of prctl(2)


def check_private(directory: str) -> None:
    """Make sure that nobody else can have put anything into a directory.

    Raises:
        SystemExit: somebody else can.
    """
    found = os.stat(directory)
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        sys.exit(f"{directory} is somebody else's, or others may write to it: it is not used")


def detach(errors: str) -> None:
    """Leave the session, streams and descriptors of whoever started us; errors go to a file from now on."""
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
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)
