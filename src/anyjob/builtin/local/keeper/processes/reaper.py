"""The deaths of the keeper's children: each is reaped, with its exit code and what it has used."""

from __future__ import annotations

import os

from anyjob.builtin.local.keeper.processes.usage import read_io, usage_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob.builtin.local.keeper.processes.usage import Usage

Death = tuple[int, int, "Usage"]
"""Pid, exit code or -signal, usage."""
SMALL = 48 << 20
"""Bytes that the peak of the keeper may be for it to be told as that of a program that stayed below it."""


def reap_children() -> list[Death]:
    """Reap all children that have ended."""
    deaths: list[Death] = []
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return deaths
            io = read_io(ended.si_pid)  # gone with the process, once it is reaped
            pid, status, rusage = os.wait4(ended.si_pid, 0)
        except ChildProcessError:
            return deaths
        usage = usage_of(rusage.ru_utime + rusage.ru_stime, rusage.ru_maxrss, io)
        deaths.append((pid, os.waitstatus_to_exitcode(status), usage))


class PeakMemory:
    """Tells the peak memory of spawned programs from that of the keeper.

    Until a program execs, Linux counts the memory of its parent for it: so that of a smaller one is an upper
    bound, and worth telling while the keeper is small.
    """

    def __init__(self) -> None:
        self._own = 0

    def of_program(self, usage: Usage) -> Usage:
        """Return a program's usage; its peak is None where it drowns in the keeper's."""
        peak = usage["peak_memory"] or 0
        if peak > self._own:
            self._own = _own_peak()
        return usage if peak > self._own or peak <= SMALL else {**usage, "peak_memory": None}


def _own_peak() -> int:
    """Return the most memory that this process has had resident, in bytes."""
    with open("/proc/self/status", "rb") as stream:
        for line in stream:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
