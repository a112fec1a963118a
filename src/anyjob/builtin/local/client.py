"""The client of a supervisor: it starts one where there is none, and connects anew when it has gone."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from anyjob.builtin.local.connection import Changed, SupervisorConnection, await_end, greet
from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.ipc.protocol import CLIENT_PROTOCOL, READY
from anyjob.builtin.local.ipc.sockets import connect
from anyjob.builtin.local.paths import RuntimePaths, program_environment
from anyjob.errors import AnyjobError, BackendUnavailableError, ConfigError
from anyjob.process.forks import in_each_process
from anyjob.process.reporting import report
from anyjob.status import backoff

ANSWER = 15.0
"""Seconds that a supervisor may take to answer."""
START = 60.0
"""Seconds that a supervisor may take to start."""
RECONNECT = 5.0
"""Seconds between two attempts to connect anew, at most."""
TOLD = 3
"""Attempts to connect anew of which the last is told, since somebody waits."""
ATTEMPTS = 8
"""Attempts to start a supervisor, before its absence is reported."""


class SupervisorClient:
    """One connection for all that a backend asks and is told.

    Args:
        paths: where the supervisor is.
        on_changed: called with the ids of jobs that have ended, and of those that are somewhere else.
        on_open: called when a connection was made: what happened before is not told any more.
        wanted: tells whether somebody still waits for a job, so that a lost connection is made anew.
        python: the interpreter that runs supervisors; empty for this process's own.
        on_connected: called with each connection that was made.
    """

    def __init__(
        self,
        paths: RuntimePaths,
        on_changed: Changed,
        on_open: Callable[[], None],
        wanted: Callable[[], bool],
        python: str = "",
        on_connected: Callable[[SupervisorConnection], object] = lambda connection: None,
    ) -> None:
        self._paths = paths
        self._python = python
        self._on_changed = on_changed
        self._on_open = on_open
        self._wanted = wanted
        self._on_connected = on_connected
        self._closed = False
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._lock = threading.RLock()
        self._connection: SupervisorConnection | None = None

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Ask the supervisor something, and return its answer.

        Raises:
            BackendUnavailableError: it does not answer within a bound, and neither does a new one; or it
                cannot do now what it is asked.
        """
        for _ in range(2):
            connection = self._connected()
            answer = connection.ask(message, time.monotonic() + ANSWER)
            if answer is not None:
                if "unavailable" in answer:
                    raise BackendUnavailableError(answer["unavailable"])
                return answer
            self._lose(connection)
        raise self._unavailable()

    def open(self) -> None:
        """Connect, so that changes are heard of.

        Raises:
            BackendUnavailableError: no supervisor can be reached.
        """
        connection = self._connection
        if connection is None or connection.is_lost:
            self._connected()

    def close(self) -> None:
        """Close the connection; what runs runs on."""
        self._closed = True
        connection = self._connection
        if connection is not None:
            self._lose(connection)

    def _connected(self) -> SupervisorConnection:
        with self._lock:
            if self._connection is None or self._connection.is_lost:
                self._connection = SupervisorConnection(
                    self._connect(),
                    self._on_changed,
                    self._on_open,
                    self._reconnect,
                    self._wanted,
                    lambda: report("%s", self._unavailable()),
                )
                self._connection.start()
                self._on_connected(self._connection)
            return self._connection

    def _lose(self, connection: SupervisorConnection) -> None:
        with self._lock:
            if self._connection is connection:
                self._connection = None
        connection.end()

    def _reconnect(self, connection: SupervisorConnection) -> None:
        """The supervisor has gone: have a new one as long as somebody waits."""
        self._lose(connection)
        failures = 0
        while self._connection is None and not self._closed and self._wanted():
            try:
                self.open()
            except (AnyjobError, OSError) as error:
                failures += 1
                if failures == TOLD:
                    report("who waits for jobs of the local backend cannot be told of them: %s", error)
                time.sleep(backoff(failures, ceiling=RECONNECT))

    def _connect(self) -> FrameSocket:
        """Return a connection to a supervisor that has welcomed us, and tells us of changes from now on."""
        for attempt in range(1, ATTEMPTS + 1):
            if attempt > 1:
                self._paths.find_sockets()
            socket = connect(self._paths.supervisor_socket)
            if socket is not None and (frames := self._handshake(FrameSocket(socket))):
                return frames
            self._start_supervisor()
            if attempt > 1:
                time.sleep(backoff(attempt - 1, ceiling=1.0))
        raise self._unavailable()

    def _handshake(self, frames: FrameSocket) -> FrameSocket | None:
        """Say hello; None where another supervisor is to be had."""
        deadline = time.monotonic() + ANSWER
        try:
            protocol = greet(frames, deadline)
            if protocol == CLIENT_PROTOCOL:
                return frames
            if protocol < CLIENT_PROTOCOL:
                frames.send({"op": "shutdown", "successor": self._supervisor_command()})
                await_end(frames, deadline)
        except TimeoutError:
            frames.close()
            raise self._unavailable() from None
        except (EOFError, OSError):
            protocol = 0  # it has just gone
        frames.close()
        if protocol > CLIENT_PROTOCOL:
            raise BackendUnavailableError(
                f"a supervisor of a newer anyjob serves {self._paths.state} (protocol {protocol}; this one "
                f"speaks {CLIENT_PROTOCOL}): upgrade anyjob here, or set ANYJOB_STATE to another directory"
            )
        return None

    def _start_supervisor(self) -> None:
        import subprocess  # where one runs already, it is not needed

        try:
            from anyjob.execution import interpreter

            process = interpreter.spawn_interpreter(
                self._paths.arguments("supervisor", own_path=not self._python),
                python=self._python,
                env=program_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
            )
        except OSError as error:
            raise BackendUnavailableError(
                f"the supervisor of the local backend cannot be started: {error}"
            ) from error
        with process:
            try:
                said, errors = process.communicate(timeout=START)
            except subprocess.TimeoutExpired:
                process.kill()
                raise BackendUnavailableError(
                    f"the supervisor of the local backend has not started within {START:g} s: "
                    f"see {self._paths.logs / 'supervisor.err'}"
                ) from None
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            written = errors.decode("utf-8", "replace").strip()
            raise BackendUnavailableError(f"the supervisor of the local backend does not start: {written}")
        if said.decode("utf-8", "replace").strip() != READY:
            raise ConfigError(
                f"{self._python or sys.executable!r} is no interpreter of Python that runs anyjob: "
                "it was started as one, and did something else; set `python` of the backend"
            )

    def _supervisor_command(self) -> list[str]:
        from anyjob.execution import interpreter

        words = self._paths.arguments("supervisor", own_path=not self._python)
        return [interpreter.find_interpreter(self._python), *words]

    def _unavailable(self) -> BackendUnavailableError:
        log = self._paths.logs / "supervisor.err"
        from anyjob.builtin.local.locks import UNSEEN, lock_holder

        pid = lock_holder(self._paths.supervisor_lock)
        if pid is None:
            return BackendUnavailableError(f"no supervisor of the local backend can be reached: see {log}")
        who = f"pid {pid}" if pid != UNSEEN else "its pid is not seen from here, as from another container"
        return BackendUnavailableError(
            f"the supervisor of the local backend ({who}) does not answer within {ANSWER:g} s: see {log}"
            "; it may be killed at any time: jobs run on, and a new one takes over"
        )
