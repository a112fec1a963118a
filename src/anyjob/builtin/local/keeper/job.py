"""A job as the keeper knows it."""

from __future__ import annotations

import os
import time

from anyjob.builtin.local import process_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from anyjob import _typing as t
    from anyjob.builtin.local.ipc.event_loop import Timer
    from anyjob.builtin.local.keeper.processes.usage import Usage

Key = tuple[str, int]
"""What a job is known by: its id, and the number of the attempt."""


class Job:
    """A job that the keeper was told to start.

    Args:
        order: the supervisor's ``start`` message.
        state: the keeper's state directory.

    Raises:
        ValueError: its id is none.
        KeyError: something is missing.
    """

    __slots__ = (
        "attempt",
        "capacity",
        "cause",
        "code",
        "cwd",
        "devices",
        "dispatch_id",
        "dispatches",
        "durable",
        "environment",
        "extra",
        "finished",
        "grace",
        "group",
        "has_directory",
        "id",
        "is_call",
        "is_logged",
        "marks",
        "memory",
        "message",
        "overdue",
        "peak_memory",
        "pid",
        "queue",
        "recycle",
        "slots",
        "spool",
        "started",
        "starts_quietly",
        "starttime",
        "walltime",
        "warning",
        "warning_due",
        "warning_signal",
        "warning_tells_all",
        "was_warned",
        "work",
        "worker",
        "zygote",
    )

    def __init__(self, order: dict[str, Any], state: bytes) -> None:
        self.id: str = order["id"]
        if not (self.id.isascii() and self.id.replace("-", "").replace("_", "").isalnum()):
            raise ValueError(f"{self.id!r} is no id of a job: those are of letters, digits, - and _")
        self.attempt: int = order["attempt"]
        self.spool: str = order["spool"]
        self.cwd: bytes | str | None = order.get("cwd")
        self.environment: str | None = order.get("environment")
        self.extra = {os.fsencode(k): os.fsencode(v) for k, v in (order.get("extra") or {}).items()}
        self.grace: float = order.get("grace") or 0.0
        self.durable = bool(order.get("durable"))
        self.queue: int = order.get("queue", 0)
        self.slots: int = order.get("slots", 1)
        self.capacity: int = order.get("capacity", 0)  # the slots of its queue; 0: as many as are asked for
        self.memory: int | None = order.get("memory")  # bytes that it has asked for
        self.devices: list[str] = order.get("devices") or []  # its GPUs
        self.walltime: float | None = order.get("walltime")
        self.warning_due: float | None = order.get("warning")  # seconds from its start on
        self.warning_signal: int = order.get("signal", 0)
        self.warning_tells_all: bool = order.get("tells_all", True)  # or only the process that was started
        self.warning: Timer | None = None
        self.was_warned = False
        self.work: dict[str, Any] = order["work"]
        self.is_call = self.work["kind"] == "call"
        self.recycle: int = self.work.get("recycle", 0)  # calls that share a process at most; 0: they do not
        # Whether that it starts need not be known before it has: the log of its worker says it.
        asks = self.durable or self.devices or self.memory or self.walltime or self.warning_due
        self.starts_quietly = bool(self.recycle) and not asks
        self.marks = {
            process_table.KEEPER: state,
            process_table.JOB_ID: self.id.encode(),
            process_table.ATTEMPT: b"%d" % self.attempt,
            process_table.SPOOL: os.fsencode(self.spool),
        }
        self.cause: str | None = None
        self.message = ""  # what is to be said of its end
        self.group = ""  # the directory of its cgroup, if it has one
        self.peak_memory = 0  # of all its processes together, as far as that was watched
        self.overdue: Timer | None = None  # its walltime
        self.code: int | None = None
        self.is_logged = False  # whether the log says that it is about to start
        self.has_directory = False  # whether its directory is there, as this attempt is to find it
        self.pid: int | None = None
        self.started: float | None = None
        self.finished: float | None = None  # as its worker says
        self.starttime = 0
        self.zygote: t.ZygoteProcess | None = None  # the one that it was sent to, if it is a call
        self.worker: t.WorkerProcess | None = None  # that makes the call, or is to
        self.dispatch_id = 0  # what its last dispatch to a zygote is known by
        self.dispatches = 0

    @property
    def key(self) -> Key:
        """Id and attempt."""
        return self.id, self.attempt

    @property
    def mark(self) -> bytes:
        """What a process carries in its environment to be known as the job's, as /proc has it."""
        needed = (process_table.KEEPER, process_table.JOB_ID, process_table.ATTEMPT)
        return b"".join(b"%s=%s\0" % (name, self.marks[name]) for name in needed)

    @property
    def claim(self) -> str:
        """The file that the one child makes that runs this call, of the zygote it was last sent to."""
        return f"{self.spool}/claim.{self.attempt}.{self.dispatch_id}"

    def end_event(self, code: int, message: str, report: bytes | None, usage: Usage) -> dict[str, Any]:
        """Return the message that tells that it has ended: see `anyjob.builtin.local.ipc.protocol`.

        Args:
            code: what its process has ended with, or would have.
            message: what is to be said of that.
            report: what came of a call, pickled, where that is not in the spool.
            usage: what it has used.
        """
        return {
            "op": "ended",
            "id": self.id,
            "attempt": self.attempt,
            "code": code,
            "cause": self.cause,
            "message": message or self.message,
            "started": self.started,
            "finished": self.finished or time.time(),
            "pid": self.pid,
            "report": report,
            **usage,
        }
