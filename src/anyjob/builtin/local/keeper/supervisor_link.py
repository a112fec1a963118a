"""The keeper's connection to a supervisor, which is started where one is missed."""

from __future__ import annotations

import os

from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.ipc import sockets
from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.ipc.protocol import KEEPER_PROTOCOL, SOON
from anyjob.builtin.local.keeper.launch.environments import without_marks
from anyjob.builtin.local.keeper.launch.errors import StartFailed
from anyjob.execution.interpreter import MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any, Protocol

    from anyjob.builtin.local.ipc.event_loop import EventLoop
    from anyjob.builtin.local.keeper.launch.program import Spawner
    from anyjob.builtin.local.keeper.log.job_log import JobLog

    class Commands(Protocol):
        """Who does what a supervisor says."""

        def execute(self, message: dict[str, Any]) -> None:
            """Do what a supervisor says."""

        def supervisor_found(self) -> None:
            """There is another connection."""

        def supervisor_lost(self) -> None:
            """The connection has ended."""

        def has_jobs(self) -> bool:
            """Tell whether jobs wait or run."""

        def is_stopping(self) -> bool:
            """Tell whether the keeper is to end as soon as it can."""


RECONNECT = 0.1
"""Seconds that a supervisor that has gone has to come back, before another one is started."""
BACKOFF = 10.0
"""Seconds between two attempts to start a supervisor, at most."""
ATTEMPTS = 6
"""Attempts to start a supervisor where nothing runs, and only what has ended is to be told."""


class SupervisorLink:
    """The connection to the supervisor; there is one at a time, and the last one that has connected is it.

    Args:
        loop: the keeper's event loop.
        listener: the socket that supervisors connect to.
        log: the keeper's log.
        commands: who does what a supervisor says.
        command: what starts a supervisor; empty for nothing.
        spawner: what that is started with.
    """

    def __init__(
        self,
        loop: EventLoop,
        listener: socket.socket,
        log: JobLog,
        commands: Commands,
        command: list[str],
        spawner: Spawner,
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._log = log
        self._commands = commands
        self._command = [os.fsencode(word) for word in command]
        self._spawner = spawner
        self._frames: FrameSocket | None = None
        self.pid = 0
        self._attempts = 0
        self._is_behind = False  # whether something happened that no supervisor is known to have heard of
        self._soon: dict[tuple[Any, Any], dict[str, Any]] = {}
        self._young: dict[tuple[Any, Any], dict[str, Any]] = {}  # starts: of short jobs the end comes first
        self._flushes_soon = False
        loop.add_reader(listener, self._accept)

    def listen_on(self, listener: socket.socket) -> None:
        """Have supervisors connect to another socket from now on."""
        self._loop.remove_reader(self._listener)
        self._listener.close()
        self._listener = listener
        self._loop.add_reader(listener, self._accept)

    @property
    def is_connected(self) -> bool:
        """Whether there is a supervisor."""
        return self._frames is not None

    @property
    def is_awaited(self) -> bool:
        """Whether a supervisor is being started, to be told what has happened."""
        return bool(self._is_behind and self._frames is None and self._command and self._attempts < ATTEMPTS)

    def set_command(self, command: list[str]) -> None:
        """Take what starts the next supervisor."""
        self._command = [os.fsencode(word) for word in command]

    def answer(self, message: dict[str, Any]) -> None:
        """Say something that is gone by tomorrow: no later supervisor has to hear it."""
        if self._frames is not None:
            self._loop.send(self._frames, message)

    def tell(self, event: dict[str, Any]) -> None:
        """Tell the supervisor, if there is one, what has happened; and all that was to be told soon."""
        self._is_behind = True
        self._drop_start(event)
        self._tell_waiting()
        if self._frames is not None:
            self._loop.send(self._frames, event)

    def tell_soon(self, event: dict[str, Any]) -> None:
        """Tell what has happened to a job, once it has waited a little for something to be told with it.

        A start waits up to twice as long: of a job that ends meanwhile one thing is told.
        """
        self._is_behind = True
        if self._frames is None:
            return
        self._drop_start(event)
        waiting = self._young if event["op"] == "started" else self._soon
        waiting[event["id"], event["attempt"]] = event  # the last: ends are told in the order of the log
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushes_soon:
            self._flushes_soon = True
            self._loop.call_later(SOON, self._flush)

    def _drop_start(self, event: dict[str, Any]) -> None:
        """That a job has started, and was to be told soon, its end tells, too."""
        if event["op"] == "ended":
            for waiting in (self._young, self._soon):
                waiting.pop((event["id"], event["attempt"]), None)

    def _flush(self) -> None:
        self._flushes_soon = False
        self._tell_waiting()
        if self._young:
            self._soon, self._young = self._young, {}
            self._flush_soon()

    def _tell_waiting(self) -> None:
        if self._frames is not None:
            for event in self._soon.values():
                self._loop.send(self._frames, event)
        self._soon.clear()

    # --- the connection -----------------------------------------------------------------------

    def _accept(self) -> None:
        accepted = sockets.accept(self._listener)
        if accepted is None:
            return
        connection, self.pid = accepted
        self._disconnect()
        frames = self._frames = FrameSocket(connection, together=True)
        self._commands.supervisor_found()
        self._loop.add_reader(frames, self._receive)
        hello = {"op": "hello", "protocol": KEEPER_PROTOCOL, "pid": os.getpid()}
        # The log should say what is unwritten, and cannot yet.
        self._loop.send(frames, {**hello, **self._log.position, "unwritten": self._log.unwritten_lines})

    def _disconnect(self) -> None:
        frames, self._frames = self._frames, None
        self._soon.clear()  # the log has it
        self._young.clear()
        if frames is not None:
            self._loop.remove_reader(frames)
            frames.close()
            self._commands.supervisor_lost()

    def _receive(self) -> None:
        assert self._frames is not None
        try:
            for message in self._frames.receive():
                self._attempts, self._is_behind = 0, False
                self._commands.execute(message)
        except Exception as error:
            # At its end; or what it says makes no sense, and another one may say better.
            if not isinstance(error, EOFError):
                log_error(error)
            self._disconnect()
            self._loop.call_later(RECONNECT, self._start_supervisor)

    def _start_supervisor(self) -> None:
        """Start a supervisor where there is none, and something that it has to know."""
        if self._frames is not None or not self._command or self._commands.is_stopping():
            return
        if not self._commands.has_jobs() and (not self._is_behind or self._attempts >= ATTEMPTS):
            return
        self._attempts += 1
        try:
            variables = {**without_marks(os.environb), os.fsencode(MARK): b"1"}
            self._spawner.spawn(self._command, variables, (self._spawner.null, 1, 2))
        except StartFailed as failed:
            log_error(failed)
        self._loop.call_later(min(0.5 * 2**self._attempts, BACKOFF), self._start_supervisor)
