"""A worker as the keeper sees it: a child of a zygote that makes one call after the other."""

from __future__ import annotations

import os
import socket
import time
from collections import deque

from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.keeper.launch.job_directory import close_all
from anyjob.builtin.local.keeper.log.worker_log import WorkerLog
from anyjob.builtin.local.keeper.processes.usage import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob import _typing as t
    from anyjob.builtin.local.keeper.job import Job
    from anyjob.builtin.local.keeper.processes.usage import Usage

SUMMED = ("cpu_time", "read_bytes", "written_bytes")
AHEAD = 0.005
"""Seconds that what a worker has beside the call that it makes is to take it, by what the last ones took."""
MOST = 64
"""Calls that it has beside that, at most."""


class WorkerProcess:
    """One worker: the call that it makes, and those that are its next ones unless they are taken back.

    Whose a call is, the pipe of tokens decides: one whose token the worker has read, it makes; one whose
    token we have read, it does not.

    Args:
        number: what its zygote reports of it by.
        zygote: of which it is to be a child.
        job: its first call, which it is given once it is there.
        log: the path of its log.

    Raises:
        OSError: there are too many descriptors, or no room for its log.
    """

    def __init__(self, number: int, zygote: t.ZygoteProcess, job: Job, log: str) -> None:
        self.number = number
        self.zygote: t.ZygoteProcess | None = zygote  # None once that has died
        self.job: Job | None = job
        self.has_begun = False
        """Whether it has logged that it begins with the call."""
        self.since = 0.0  # when that became its call, on the monotonic clock
        self.ahead: deque[Job] = deque()
        self.given: list[Job] = []  # what is to be sent at the end of the turn
        self.pid: int | None = None  # None until it is there
        self.starttime = 0
        self.code: int | None = None  # what it has ended with
        self.usage = UNKNOWN  # of the call that it has ended in
        self._told: Usage = dict.fromkeys(SUMMED, 0)
        self._seconds: float | None = None  # that a call takes it
        self.failure = ""
        self.is_closed = self.is_used_up = False
        self.log = WorkerLog(log)
        self._tokens = -1
        ours, theirs = socket.socketpair()
        passed = [theirs.fileno()]
        try:
            ours.setblocking(False)
            passed += os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            # One descriptor for both ends, as there may be many workers.
            self._tokens = os.open(f"/proc/self/fd/{passed[1]}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            passed.append(self.log.open())
            zygote.pass_files([passed[0], passed[1], passed[3]])
        except BaseException:
            ours.close()
            self.close()
            raise
        finally:
            theirs.close()
            close_all(passed[1:])
        self.frames = FrameSocket(ours)

    @property
    def is_usable(self) -> bool:
        """Whether it may be sent another call, as far as we know."""
        is_kept = self.zygote is not None and self.zygote.is_usable
        return is_kept and not (self.is_closed or self.is_used_up)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be heard of it."""
        return self.is_closed and (self.code is not None or (self.zygote is None and self.pid is None))

    @property
    def depth(self) -> int:
        """How many calls it is to have beside the one that it makes."""
        if self._seconds is None:
            return 0
        return min(MOST, int(AHEAD / max(self._seconds, 1e-6)))

    def took(self, seconds: float) -> None:
        """A call has taken it so long; on a busy machine one alone says little."""
        before = seconds if self._seconds is None else self._seconds
        self._seconds = before + (seconds - before) / 8

    def begin(self, job: Job | None) -> None:
        """A call is the one that it makes now, or is to make next."""
        self.job, self.has_begun, self.since = job, False, time.monotonic()

    # --- the tokens ---------------------------------------------------------------------------

    def give(self, jobs: list[Job]) -> None:
        """Have calls be its own to make, whose orders it has, or will have."""
        os.write(self._tokens, b"".join(job.dispatch_id.to_bytes(4, "little") for job in jobs))

    def take_back(self) -> set[int]:
        """Return the numbers of the calls that it has not taken, and cannot take any more."""
        taken: set[int] = set()
        while True:
            try:
                data = os.read(self._tokens, 4096)
            except BlockingIOError:
                return taken
            taken.update(memoryview(data).cast("I"))

    def stop_giving(self) -> None:
        """There will be no more calls: it ends once it finds that out."""
        if self._tokens >= 0:
            os.close(self._tokens)
            self._tokens = -1

    def close(self) -> None:
        """Let go of what we hold of it, but the connection; the keeper's log says what its log has said."""
        self.stop_giving()
        self.log.remove()

    # --- what its calls have used ---------------------------------------------------------------

    def has_told(self, usage: Usage) -> None:
        """It has told what a call has used."""
        for name in SUMMED:
            self._told[name] = _sum(self._told[name], usage[name], 1)

    def usage_of_last(self, all_in_all: Usage) -> Usage:
        """Return what the call has used that it has ended in, by what it has used in all its life."""
        return all_in_all | {name: _sum(all_in_all[name], self._told[name], -1) for name in SUMMED}


def _sum(one: float | None, other: float | None, sign: int) -> float | None:
    return None if one is None or other is None else max(0, one + sign * other)
