"""A worker as the keeper sees it: a child of a zygote that makes one call after the other."""

from __future__ import annotations

import socket

from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.keeper.processes.usage import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anyjob import _typing as t
    from anyjob.builtin.local.keeper.job import Job
    from anyjob.builtin.local.keeper.processes.usage import Usage

SUMMED = ("cpu_time", "read_bytes", "written_bytes")


class WorkerProcess:
    """One worker, and the call that it makes.

    Args:
        number: what its zygote reports of it by.
        zygote: of which it is to be a child.
        job: its first call, which it is sent once it is there.

    Raises:
        OSError: there are too many descriptors.
    """

    def __init__(self, number: int, zygote: t.ZygoteProcess, job: Job) -> None:
        self.number = number
        self.zygote: t.ZygoteProcess | None = zygote  # None once that has died
        self.job: Job | None = job
        self.pid: int | None = None  # None until it is there
        self.starttime = 0
        self.code: int | None = None  # what it has ended with
        self.usage = UNKNOWN  # of the call that it has ended in
        self._told: Usage = dict.fromkeys(SUMMED, 0)
        self.failure = ""
        self.is_closed = self.is_used_up = False
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            zygote.pass_channel(theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
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
    def has_begun(self) -> bool:
        """Whether it has read the call that it was sent, now that it has ended."""
        return self.pid is not None and not self.frames.pending and not self.frames.was_reset

    def has_told(self, usage: Usage) -> None:
        """It has told what a call has used."""
        for name in SUMMED:
            self._told[name] = _sum(self._told[name], usage[name], 1)

    def usage_of_last(self, all_in_all: Usage) -> Usage:
        """Return what the call has used that it has ended in, by what it has used in all its life."""
        return all_in_all | {name: _sum(all_in_all[name], self._told[name], -1) for name in SUMMED}


def _sum(one: float | None, other: float | None, sign: int) -> float | None:
    return None if one is None or other is None else max(0, one + sign * other)
