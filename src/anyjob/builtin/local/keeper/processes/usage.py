"""What a job has used, as the keeper is told of it: its computing, memory, reading and writing."""

from __future__ import annotations

import os

Usage = dict[str, "float | int | None"]
"""What a process has used, with those of its descendants that were waited for: ``cpu_time`` in seconds,
user and system; ``peak_memory`` in bytes, of the largest of them; ``read_bytes`` and ``written_bytes``, by
system calls, from and to whatever file, pipe or socket. None: it is not known."""
UNKNOWN: Usage = dict.fromkeys(("cpu_time", "peak_memory", "read_bytes", "written_bytes"))


def usage_of(cpu_time: float, peak: int, io: bytes) -> Usage:
    """Return what a process has used.

    Args:
        cpu_time: user and system, in seconds.
        peak: the most memory that it had resident, in KiB, as ``ru_maxrss`` has it.
        io: what ``/proc/PID/io`` said; empty where that could not be read.
    """
    said = io.split()
    known = len(said) >= 4 and said[0] == b"rchar:" and said[2] == b"wchar:"
    return {
        "cpu_time": round(cpu_time, 6),  # as it is told by the system, and by the log
        "peak_memory": peak * 1024,
        "read_bytes": int(said[1]) if known else None,
        "written_bytes": int(said[3]) if known else None,
    }


def read_io(pid: int) -> bytes:
    """Return what /proc says of what a process has read and written; empty where that cannot be read."""
    try:
        fd = os.open(f"/proc/{pid}/io", os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(fd, 4096)
    except OSError:
        return b""
    finally:
        os.close(fd)
