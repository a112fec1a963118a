"""Watches the memory of the jobs that have asked for so much and no more; one that takes more is ended.

What counts is what the system cannot take back: anonymous and shared memory, and what of it is swapped out.
Pages of files, as those of programs and libraries, do not count: the system drops them when it needs room.
"""

from __future__ import annotations

import time

from anyjob.builtin.local.process_table import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from anyjob.builtin.local.ipc.event_loop import EventLoop, Timer
    from anyjob.builtin.local.keeper.job import Job, Key
    from anyjob.builtin.local.process_table import Process

SHORTEST, LONGEST = 0.1, 1.0
"""Seconds between two looks."""
GROWTH = 4 << 30
"""Bytes a second that a job is expected to grow by, at most: the farther from its limit, the later it is
looked at."""
SHARE = 0.05
"""Of a core, that the looking may take."""
_RESIDENT = (b"RssAnon", b"RssShmem", b"VmSwap")
_PROPORTIONAL = (b"Pss_Anon", b"Pss_Shmem", b"SwapPss")


class MemoryWatch:
    """The jobs whose memory is watched; while there are none, it does nothing.

    Args:
        loop: the keeper's event loop.
        processes_of: returns the processes of a job, wherever they have gone.
        exceeded: called with a job that has more than it asked for, and with how many bytes that is; again
            at each look, while it goes on.
        was_killed_in: tells whether the kernel has ended a process of a job for that, which may have others.
    """

    def __init__(
        self,
        loop: EventLoop,
        processes_of: Callable[[Job], Iterable[Process]],
        exceeded: Callable[[Job, int], object],
        was_killed_in: Callable[[Job], bool] = lambda job: False,
    ) -> None:
        self._loop = loop
        self._processes_of = processes_of
        self._exceeded = exceeded
        self._was_killed_in = was_killed_in
        self._watched: dict[Key, Job] = {}
        self._timer: Timer | None = None

    def add(self, job: Job) -> None:
        """Watch a job that has its process, if it has said how much it takes."""
        if job.memory is not None:
            self._watched[job.key] = job
            self._look_in(SHORTEST)

    def remove(self, job: Job) -> None:
        """A job has ended."""
        if self._watched.pop(job.key, None) is not None and not self._watched and self._timer is not None:
            self._loop.cancel(self._timer)
            self._timer = None

    def _look_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._loop.cancel(self._timer)
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        began = time.monotonic()
        room = LONGEST * GROWTH
        for job in list(self._watched.values()):
            limit = job.memory or 0
            used = occupied((process.pid for process in self._processes_of(job)), limit)
            job.peak_memory = max(job.peak_memory, used)
            room = min(room, limit - used)
            if used > limit or self._was_killed_in(job):
                self._exceeded(job, used)
        if self._watched:
            self._look_in(pause(room, time.monotonic() - began))


def pause(room: float, took: float) -> float:
    """Return after how many seconds to look again.

    Args:
        room: bytes that the job may still take that is nearest to its limit.
        took: seconds that the last look took.
    """
    return max(min(LONGEST, max(SHORTEST, room / GROWTH)), took / SHARE)


def occupied(pids: Iterable[int], limit: int) -> int:
    """Return how many bytes processes occupy together; an upper bound of that, where it is within the limit.

    What they share counts once, which takes the system a while to find out: so that is asked only where it
    decides.
    """
    resident = {pid: _sum(read_file(f"/proc/{pid}/status"), _RESIDENT) for pid in pids}
    bound = sum(known or 0 for known in resident.values())
    if bound <= limit:
        return bound
    total = 0
    for pid, known in resident.items():
        proportional = _sum(read_file(f"/proc/{pid}/smaps_rollup"), _PROPORTIONAL)
        total += (known or 0) if proportional is None else proportional
    return total


def _sum(text: bytes, names: tuple[bytes, ...]) -> int | None:
    """Return the sum, in bytes, of what a file of /proc says in KiB; None where it says nothing of these."""
    found = [
        int(value.split()[0]) * 1024
        for name, colon, value in (line.partition(b":") for line in text.splitlines())
        if colon and name in names
    ]
    return sum(found) if found else None
