"""Processes and their threads, as the machine knows them; and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import greenlet

if TYPE_CHECKING:
    from simulation.descriptions import Description

FIRST_PID = 1 << 23
"""Higher than any that Linux gives: none of ours is ever that of a real process."""


class Killed(BaseException):
    """Unwinds what a process was doing that is dead: nothing that it still does has an effect."""


class Exited(BaseException):
    """A program ends itself."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Stuck(Exception):
    """Nothing can go on, or it goes on for ever."""


class Task:
    """A thread of a process."""

    def __init__(self, process: Process, run: Callable[[], object], name: str) -> None:
        self.process = process
        self.name = name
        self.waits_for: Callable[[], object] | None = None
        self.deadline: float | None = None
        self.held_until = 0.0
        self.thread: Any = None
        self.greenlet = greenlet.greenlet(run)


class Process:
    """A process, its state as the system has it."""

    def __init__(self, pid: int, role: str, parent: Process | None, variables: dict[str, str]) -> None:
        self.pid = pid
        self.role = role
        self.parent = parent
        self.group: int = pid if parent is None else parent.group
        self.session: int = self.group
        self.started = 0
        self.variables = variables
        self.environ: bytes | bytearray = b"".join(
            b"%s=%s\0" % (k.encode(), v.encode()) for k, v in variables.items()
        )
        self.memory = 1000  # KiB
        self.handlers: dict[int, Any] = {}
        self.pending: list[int] = []
        self.wakeup = -1
        self.files: dict[int, Description] = {}
        self.descriptors: set[int] = set()
        self.connections: set[Any] = set()
        self.tasks: list[Task] = []
        self.adopts = self.dies_with_parent = False
        self.stopped = self.dead = self.reaped = False
        self.status = 0
        self.on_death: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"{self.role} {self.pid - FIRST_PID}"
