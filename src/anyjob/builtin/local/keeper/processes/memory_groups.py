"""The cgroups of the jobs that have asked for memory: there the kernel itself holds them to it.

Where none can be made, a job has none, and is only watched. A group that nothing is left in is for the next
job: while pages of files are cached that were first read or written in it, the kernel keeps what it has of a
group that is removed, so thousands would add up. Those of a keeper that was killed are known by a file that
says where they are, and by their names.
"""

from __future__ import annotations

import os
import signal
import time
import zlib

from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.machine import cgroups
from anyjob.builtin.local.process_table import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob.builtin.local.ipc.event_loop import EventLoop
    from anyjob.builtin.local.keeper.job import Job
    from anyjob.builtin.local.machine.cgroups import Place

RECORD = "memory-groups"
"""The file beside the keeper's log that says in which group those of jobs are."""
GRACE = 1.0
"""Seconds beside its own grace after which what a job has left in its group is killed."""
SHORTEST, LONGEST = 0.05, 1.0
"""Seconds between two tries to remove a group."""
SPARE = 64
"""Groups that are kept for other jobs, at most."""
WITHIN = 10.0
"""Seconds that it is tried for to remove what a dead keeper has left."""


class MemoryGroups:
    """The groups of a keeper's jobs. Where they can be made is found out for the first of them.

    Args:
        loop: the keeper's event loop.
        state: the state directory, after which they are named.
        logs: the directory of the keeper's log.
    """

    def __init__(self, loop: EventLoop, state: bytes, logs: str) -> None:
        self._loop = loop
        self._state = state
        self._logs = logs
        self._place: Place | None = None
        self._prefix = ""
        self._is_sought = False
        self._left: set[str] = set()
        self._spare: list[str] = []
        self._kills: dict[str, int] = {}  # how many there had been when the job came that has the group
        self._made = 0

    def __bool__(self) -> bool:
        """Whether there are some of jobs that have ended."""
        return bool(self._left)

    def make(self, job: Job) -> str:
        """Give a job a group, and return its directory; empty where it is to have none."""
        if job.memory is None or job.group:  # it has one where it is started once more
            return job.group
        place = self._find()
        if place is None:
            return ""
        try:
            group = self._spare.pop() if self._spare else self._new(place)
        except OSError as error:
            log_error(error)
            return ""
        try:
            place.limit(group, job.memory)
        except OSError as error:
            log_error(error)
            self._remove(group)
            return ""
        self._kills[group] = place.kills(group)
        return group

    def _new(self, place: Place) -> str:
        self._made += 1
        group = f"{place.path}/{self._prefix}{self._made}"
        os.mkdir(group)
        return group

    def _find(self) -> Place | None:
        if not self._is_sought:
            self._is_sought = True
            place = cgroups.find_place()
            if place is not None:
                try:
                    self._prefix = prefix(self._state)
                    _record(self._logs, place.path)
                    place.enable()
                except OSError as error:
                    log_error(error)
                    place = None
            self._place = place
        return self._place

    def was_killed_in(self, job: Job) -> bool:
        """Tell whether the kernel has killed a process of a job for want of memory."""
        if self._place is None or not job.group:
            return False
        return self._place.kills(job.group) > self._kills[job.group]

    def end(self, job: Job) -> None:
        """A job ends: if the kernel has killed what it is of, that is the reason."""
        if self._place is None or not self.was_killed_in(job):
            return
        # That of version 2 may be of an earlier job.
        peak = min(self._place.peak(job.group), cgroups.limit_of(job.memory or 0))
        job.peak_memory = max(job.peak_memory, peak)
        if job.cause is None:
            job.cause = "memory"
            job.message = told(job.peak_memory, job.memory or 0)

    def release(self, job: Job) -> None:
        """A job has ended: its group is for others as soon as nothing is left in it."""
        if job.group:
            del self._kills[job.group]  # the next job in it has its own
            self._free(job.group, time.monotonic() + job.grace + GRACE, SHORTEST)
            job.group = ""

    def _free(self, group: str, deadline: float, pause: float) -> None:
        assert self._place is not None
        if not has_processes(group):
            self._left.discard(group)
            is_whole = len(cgroups.groups_in(group)) == 1
            if len(self._spare) < SPARE and is_whole and self._place.is_clean(group):
                self._spare.append(group)
            else:
                self._remove(group)
            return
        self._left.add(group)
        if time.monotonic() >= deadline:  # what has neither the mark nor the session of its job any more
            kill_in(group)
        self._loop.call_later(pause, self._free, group, deadline, min(2 * pause, LONGEST))

    def _remove(self, group: str) -> None:
        if is_removed(group):
            self._left.discard(group)
        else:
            self._left.add(group)
            self._loop.call_later(LONGEST, self._remove, group)

    def close(self) -> None:
        """Remove those that are left for other jobs: there are none any more."""
        for group in self._spare:
            is_removed(group)


def describe(logs: str) -> dict[str, str]:
    """Return who holds jobs to their memory: ``by``, ``kernel`` or ``watch``, and ``words`` about it.

    Where jobs have asked for memory since the last keeper was started, that one knows; else what would be.

    Args:
        logs: the directory of the keeper's log.
    """
    places = cgroups.read(f"{logs}/{RECORD}").splitlines()
    found = cgroups.find_place()
    place = places[-1] if places else found.path if found is not None else ""
    if place:
        return {"by": "kernel", "words": f"the kernel holds them to it, in cgroups in {place}"}
    way_out = "where systemd is, the first job by `systemd-run --user --scope anyjob run …` brings them"
    words = f"it is watched, and what exceeds it is ended: no cgroups can be made from here ({way_out})"
    return {"by": "watch", "words": words}


def told(used: int, asked: int) -> str:
    """Return what is said of a job that the kernel has ended."""
    figures = f"it used {mib(used)} of memory, and had asked for {mib(asked)}"
    if used >= asked:
        return figures
    return f"the kernel ended it, since this machine, or what it runs in, had no memory left: {figures}"


def mib(size: int) -> str:
    """Return an amount of memory as it is told."""
    return f"{size / 2**20:.1f} MiB"


def prefix(state: str | bytes | os.PathLike[str]) -> str:
    """Return what the names of the groups of a state directory's jobs begin with, until the next boot.

    Raises:
        OSError: it is not there.
    """
    found = os.stat(state)
    return f"anyjob-{found.st_dev:x}-{found.st_ino:x}-{zlib.crc32(boot_id().encode()):08x}-"


def _record(logs: str, place: str) -> None:
    path = f"{logs}/{RECORD}"
    if place not in cgroups.read(path).splitlines():
        with open(path, "a", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(f"{place}\n")


def sweep(state: str | bytes | os.PathLike[str], logs: str | os.PathLike[str]) -> list[str]:
    """Remove the groups of a keeper that is dead, and kill what is in them.

    Args:
        state: its state directory.
        logs: the directory of its log.

    Returns:
        Those that cannot be removed: a process in an uninterruptible sleep may not go.
    """
    path = os.path.join(logs, RECORD)
    places = cgroups.read(path).splitlines()
    begins = prefix(state) if places else ""
    left = [group for place in places for group in _groups(place, begins)]
    deadline = time.monotonic() + WITHIN
    while left and time.monotonic() < deadline:
        for group in left:
            kill_in(group)
        left = [group for group in left if not is_removed(group)]
        if left:
            time.sleep(0.005)
    if places and not left:
        os.unlink(path)
    return left


def _groups(place: str, begins: str) -> list[str]:
    try:
        return [f"{place}/{name}" for name in os.listdir(place) if name.startswith(begins)]
    except OSError:
        return []


def is_removed(group: str) -> bool:
    """Remove a group with those in it, and return whether it is gone."""
    try:
        for each in cgroups.groups_in(group):
            os.rmdir(each)
    except FileNotFoundError:
        return not os.path.exists(group)
    except OSError:
        return False
    return True


def has_processes(group: str) -> bool:
    """Tell whether there are processes in a group."""
    return any(cgroups.read(f"{each}/{cgroups.PROCESSES}").strip() for each in cgroups.groups_in(group))


def kill_in(group: str) -> None:
    """Kill what is in a group."""
    for pid in [pid for each in cgroups.groups_in(group) for pid in cgroups.processes_in(each)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
