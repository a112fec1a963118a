"""What goes wrong, and when: at the so-and-so-manieth call of the outside by a process of a role."""

from __future__ import annotations

import errno
import os
import random
import signal
import sqlite3
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from simulation.processes import Process
    from simulation.world import World

ROLES = (
    ("supervisor",) * 6 + ("keeper",) * 5 + ("client",) * 3 + ("zygote",) * 4 + ("call", "job", "launcher")
)
KINDS = (
    ("kill",) * 8 + ("stop",) * 3 + ("fail",) * 3 + ("tear",) * 2 + ("full", "jump", "end", "late", "sweep")
)
CALLS = (
    "COMMIT", "committed", "BEGIN ", "INSERT", "UPDATE", "SELECT", "write", "send", "receive", "accept",
    "spawn", "fork", "kill", "reap", "rename", "unlink", "symlink", "open", "lock",
)  # fmt: skip
WRITERS = ("keeper", "supervisor", "client")
_SQL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_READ", "SQLITE_BUSY", "SQLITE_CANTOPEN")


class Fault(NamedTuple):
    """One thing that goes wrong.

    Args:
        role: of the processes whose calls of the outside are counted.
        at: at the so-and-so-manieth of these.
        kind: ``kill``; ``stop`` for a while; ``end``: SIGTERM; ``fail``: the next write, or statement, fails;
            ``tear``: killed in the midst of the next write; ``full``: no write succeeds for a while;
            ``jump``: the wall clock is set; ``sweep``: the sockets are removed; ``late``: it goes on only
            after some time.
        amount: seconds, or which error.
        on: what calls are counted, such as ``COMMIT``; all by default.
        victim: the role of the process that it happens to; by default the one that makes that call.
    """

    role: str
    at: int
    kind: str
    amount: float = 0.0
    on: str = ""
    victim: str = ""

    def __str__(self) -> str:
        what = f"{self.kind} {self.victim or self.role}"
        return f"{what} at call {self.at} of {self.role} {self.on} ({self.amount:g})"


def draw(seed: int) -> list[Fault]:
    """Return what goes wrong in a run."""
    drawn, of_workers = random.Random(f"faults {seed}"), random.Random(f"faults of workers {seed}")
    faults = []
    for _ in range(drawn.choice((0, 1, 1, 2, 2, 3, 4, 6))):
        kind, role = drawn.choice(KINDS), drawn.choice(ROLES)
        if kind in ("fail", "tear", "full"):
            role = drawn.choice(WRITERS)
        if of_workers.random() < 0.25:
            role = "worker"
        if kind == "end":
            role = "supervisor"
        amount = (
            drawn.choice((0.05, 0.5, 3.0, 20.0, 40.0)) if kind != "jump" else drawn.choice((-7200.0, 7200.0))
        )
        if kind == "fail":
            amount = drawn.randrange(len(_SQL))
        fault = Fault(role, int(4 * 400 ** drawn.random()), kind, amount)
        if drawn.random() < 0.5:
            fault = fault._replace(at=int(30 ** drawn.random()), on=drawn.choice(CALLS))
        if drawn.random() < 0.15 and kind in ("kill", "stop"):
            fault = fault._replace(victim=drawn.choice(("supervisor", "keeper", "zygote")))
        faults.append(fault)
    return faults


class _Due:
    """The faults of one role that are counted by the same calls, the last one first."""

    def __init__(self) -> None:
        self.count = 0
        self.faults: list[Fault] = []


class Faults:
    """Has faults happen.

    Args:
        world: where.
        planned: which.
    """

    def __init__(self, world: World, planned: list[Fault]) -> None:
        self._world = world
        self._machine = world.machine
        self._due: dict[str, dict[str, _Due]] = {}
        for fault in sorted(planned, key=lambda fault: -fault.at):
            self._due.setdefault(fault.role, {}).setdefault(fault.on, _Due()).faults.append(fault)
        self._armed: dict[str, tuple[Fault, Process]] = {}
        self._full_until = 0.0
        self.happened: list[Fault] = []
        self.over_at = 0.0  # when the last has had its effect

    @property
    def any_failed(self) -> bool:
        """Whether something could not be written or read."""
        return any(fault.kind in ("fail", "full") for fault in self.happened)

    def stop(self) -> None:
        """No more from now on."""
        self._due.clear()
        self._armed.clear()
        self._full_until = 0.0

    def on_step(self, what: str) -> None:
        """A process asks something of the outside."""
        of_role = self._due.get(self._machine.process.role)
        if not of_role:
            return
        for on in ("", what):
            due = of_role.get(on)
            if due is not None:
                due.count += 1
                if due.faults[-1].at <= due.count:
                    fault = due.faults.pop()
                    if not due.faults:
                        del of_role[on]
                    self._happen(fault)

    def _happen(self, fault: Fault) -> None:
        machine = self._machine
        process = machine.process
        if fault.victim:
            others = [p for p in machine.processes.values() if p.role == fault.victim and not p.dead]
            if not others:
                return
            process = others[0]
        machine.say(f"FAULT: {fault}")
        self.happened.append(fault)
        lasts = fault.amount if fault.kind in ("stop", "late", "full") else 0.0
        self.over_at = max(self.over_at, machine.now + lasts + 1)
        match fault.kind:
            case "kill":
                self._world.truth.killed(process)
                machine.end(process, signal.SIGKILL)
            case "end":
                machine.signal(process, signal.SIGTERM)
            case "stop" | "late":
                if fault.kind == "late":
                    process.tasks[0].held_until = machine.now + fault.amount
                else:
                    machine.signal(process, signal.SIGSTOP)
                    machine.call_later(fault.amount, lambda: machine.signal(process, signal.SIGCONT))
            case "fail" | "tear":
                self._armed[process.role] = fault, process
            case "full":
                self._full_until = machine.now + fault.amount
            case "sweep":
                for path in self._world.runtime.rglob("*.sock"):
                    path.unlink()
            case "jump":
                machine.wall_offset += fault.amount

    def check_write(self, what: str, path: Any) -> int | None:
        """Something is written to a file; return how much of it, if not all.

        Raises:
            OSError: that fails.
        """
        machine = self._machine
        if machine.now < self._full_until:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        fault, process = self._armed.get(machine.process.role, (None, None))
        if fault is None or process is not machine.process:
            return None
        del self._armed[process.role]
        if fault.kind == "fail":
            code = errno.EIO if fault.amount > 1 else errno.ENOSPC
            machine.say(f"FAULT: {what} fails with {os.strerror(code)}")
            raise OSError(code, os.strerror(code), path)
        if what != "write":
            return None
        machine.say("FAULT: killed in the midst of a write")
        self._world.truth.killed(process)
        machine.call_later(0, lambda: machine.end(process, signal.SIGKILL))
        machine.task.held_until = machine.now + 1  # type: ignore[union-attr]
        return machine.random.randrange(30)

    def check_statement(self, sql: str) -> None:
        """A statement is about to be executed.

        Raises:
            sqlite3.OperationalError: that fails.
        """
        machine = self._machine
        if sql.startswith(("ROLLBACK", "PRAGMA")):
            return
        is_read = sql.startswith(("SELECT", "WITH"))
        if machine.now < self._full_until and not is_read and not sql.startswith("BEGIN"):
            raise self._error("SQLITE_FULL")
        fault, process = self._armed.get(machine.process.role, (None, None))
        if fault is None or process is not machine.process or fault.kind != "fail":
            return
        name = _SQL[int(fault.amount)]
        if is_read == (name in ("SQLITE_FULL", "SQLITE_IOERR_WRITE")):
            return
        del self._armed[process.role]
        machine.say(f"FAULT: {sql[:40]} fails with {name}")
        raise self._error(name)

    @staticmethod
    def _error(name: str) -> sqlite3.OperationalError:
        error = sqlite3.OperationalError(f"simulated {name}")
        error.sqlite_errorname = name
        return error
