"""The keeper's service: it does what a supervisor says, until there is nothing more to do."""

from __future__ import annotations

import os
import signal
import time

from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.keeper.job_control import JobControl
from anyjob.builtin.local.keeper.launch.program import Spawner
from anyjob.builtin.local.keeper.log.job_log import JobLog
from anyjob.builtin.local.keeper.supervisor_link import SupervisorLink

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

    from anyjob.builtin.local.keeper.log.writer import LogWriter

LOOK = 1.0
"""Seconds between two looks for where supervisors expect us, at most, while there is none."""


class Keeper:
    """One thread, one loop: nothing in it waits.

    Args:
        state: the state directory, which the jobs are marked with.
        listener: the socket that the supervisor connects to.
        log: where starts and ends are written.
        in_place: tells whether the state directory is there, or was removed under us.
        listen_anew: gives another socket to listen on, once supervisors look for us elsewhere.
        supervisor: the command that starts a supervisor; empty for none.
        idle: seconds without jobs and without a supervisor after which to end.
        zygote_idle: seconds after which a zygote that has nothing to do is ended.
    """

    def __init__(
        self,
        state: str,
        listener: socket.socket,
        log: LogWriter,
        *,
        in_place: Callable[[], bool],
        supervisor: list[str],
        idle: float,
        zygote_idle: float,
        listen_anew: Callable[[], socket.socket | None] = lambda: None,
    ) -> None:
        self._idle = idle
        self._in_place = in_place
        self._listen_anew = listen_anew
        self._idle_since = time.monotonic()
        self._stopping = False
        self._awaits_work = False
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        spawner = Spawner()
        self._loop = EventLoop()
        self._log = JobLog(log, self._loop)
        self._link = SupervisorLink(self._loop, listener, self._log, self, supervisor, spawner)
        self._jobs = JobControl(self._loop, self._log, self._link, spawner, os.fsencode(state), zygote_idle)
        self._loop.on_signal(self._jobs.reap)

    def run(self) -> None:
        """Serve until there is nothing more to do."""
        while not self._is_done():
            # As long as there is a supervisor, it comes to nothing that nobody tells us of.
            self._loop.run_once(None if self._link.is_connected else min(self._idle, LOOK))
            self._jobs.terminator.drop_snapshot()
        self._jobs.zygotes.kill_all()
        self._jobs.groups.close()

    def _is_done(self) -> bool:
        terminator = self._jobs.terminator
        if not self._in_place() and not self._stopping:
            self._stopping = True
            self._jobs.terminate_all("cancel")
        if not self._link.is_connected and (listener := self._listen_anew()) is not None:
            self._link.listen_on(listener)
        # What was asked to stop has told all ends, and its supervisor has written them.
        is_behind = bool(self._log.unwritten) and not self._stopping
        if self._jobs or terminator or is_behind or (self._awaits_work and not self._stopping):
            self._idle_since = time.monotonic()
            return False
        if not self._stopping:
            is_idle = time.monotonic() - self._idle_since >= self._idle
            if self._link.is_connected or self._link.is_awaited or not is_idle:
                return False
        terminator.sweep()
        return not (terminator or self._jobs.groups)

    # --- what the supervisor says -------------------------------------------------------------

    def execute(self, message: dict[str, Any]) -> None:
        """Do what a supervisor says."""
        match message["op"]:
            case "start":
                self._stopping = False
                self._jobs.start(message)
            case "terminate":
                key = message["id"], message["attempt"]
                self._jobs.terminate(key, message["cause"], message["grace"])
            case "withdraw":
                self._jobs.withdraw((message["id"], message["attempt"]))
            case "pause":
                self._jobs.pause((message["id"], message["attempt"]))
            case "resume":
                self._jobs.resume((message["id"], message["attempt"]))
            case "lend":
                self._jobs.lend((message["id"], message["attempt"]))
            case "take_back":
                self._jobs.take_back((message["id"], message["attempt"]))
            case "compact":
                self._log.compact(self._jobs.running(), message.get("offset"))
                self._link.tell({"op": "compacted", **self._log.position})
            case "ping":
                self._link.answer({"op": "pong"})
            case "supervisor":
                self._link.set_command(message["command"])
            case "waiting":
                self._awaits_work = message["value"]
            case "stop":
                self._stopping = True

    def supervisor_found(self) -> None:
        """There is another connection: whoever has made it says whether work is due later."""
        self._awaits_work = False

    def supervisor_lost(self) -> None:
        """The connection has ended."""
        self._idle_since = time.monotonic()
        self._jobs.drop_waiting()

    def has_jobs(self) -> bool:
        """Tell whether jobs wait or run, or go again when that is due."""
        return bool(self._jobs) or self._awaits_work

    def is_stopping(self) -> bool:
        """Tell whether the keeper is to end as soon as it can."""
        return self._stopping
