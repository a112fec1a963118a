"""The deaths of the keeper's children: each is reaped, with its exit code and its peak memory."""

from __future__ import annotations

import os

Death = tuple[int, int, int]
"""Pid, exit code or -signal, peak memory in bytes."""


def reap_children() -> list[Death]:
    """Reap all children that have ended."""
    deaths: list[Death] = []
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return deaths
        if pid == 0:
            return deaths
        deaths.append((pid, os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024))


class PeakMemory:
    """Tells the peak memory of spawned programs from that of the keeper.

    Until a program execs, Linux counts the memory of its parent for it.
    """

    def __init__(self) -> None:
        self._own = 0

    def of_program(self, peak: int) -> int | None:
        """Return a program's own peak, in bytes; None where it cannot be told from the keeper's."""
        if peak > self._own:
            self._own = _own_peak()
        return peak if peak > self._own else None


def _own_peak() -> int:
    """Return the most memory that this process has had resident, in bytes."""
    with open("/proc/self/status", "rb") as stream:
        for line in stream:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
