"""One job in a pool: how far it is, what came of it, and how its process is ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from anyjob.orders import Order
from anyjob.specs import Outcome
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from pathlib import Path

VARIABLES: ContextVar[Mapping[str, str] | None] = ContextVar("anyjob_variables", default=None)
"""What a call was given as environment that runs in a thread of this process, which has its own."""


class Work:
    """One job in a pool."""

    __slots__ = (
        "cancelled",
        "cwd",
        "ending",
        "guard",
        "order",
        "outcome",
        "overdue",
        "payload",
        "pid",
        "running",
    )

    def __init__(self, order: Order) -> None:
        self.order = order
        self.cwd: str | None = None  # that of the submitter, whatever it is when the work starts
        self.payload: Any = None
        self.running = False
        self.cancelled = False
        self.guard = threading.Lock()  # of its own: on one of the pool's, all slots would queue
        self.overdue = False
        self.outcome: Outcome | None = None
        self.pid: int | None = None  # the process that it runs in, where it has one
        self.ending = threading.Lock()  # held while that is being ended: it must not be reaped


class Endable:
    """While it is entered, the process of the work is ended on cancel, and when its walltime is over."""

    def __init__(self, work: Work, pid: int, end: Callable[[list[Work]], None]) -> None:
        self._end = end
        self._work = work
        self._pid = pid
        self._timer: threading.Timer | None = None

    def __enter__(self) -> None:
        work = self._work
        with work.ending:
            work.pid = self._pid
        if work.cancelled:  # before there was a pid to be seen
            self._end([work])
            return
        walltime = work.order.resources.walltime
        if walltime is not None:
            self._timer = threading.Timer(walltime, self._over)
            self._timer.daemon = True
            self._timer.start()

    def __exit__(self, *exc: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._work.ending:
            self._work.pid = None

    def _over(self) -> None:
        self._work.overdue = True
        self._end([self._work])


def overdue(work: Work, outcome: Outcome) -> Outcome:
    """Return the outcome of work that was ended since it ran longer than it was to."""
    walltime = work.order.resources.walltime
    return msgspec.structs.replace(
        outcome,
        status=JobStatus.ERROR,
        reason="walltime",
        message=f"it ran longer than the {walltime:g} s that were asked for",
        exception=None,
        traceback="",
        finished=time.time(),
    )


def open_output(directory: Path, stream: str) -> BinaryIO:
    """Open a file, private to the user, that a process writes its output to."""
    return open(os.open(directory / stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb")
