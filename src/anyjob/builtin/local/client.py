"""A client's connection to the supervisor, which it starts where there is none."""

from __future__ import annotations

import itertools
import os
import select
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from anyjob.builtin.local.frames import FrameSocket
from anyjob.builtin.local.paths import PROTOCOL, RuntimePaths, connect, environment, holder
from anyjob.errors import AnyjobError, BackendUnavailableError
from anyjob.status import backoff

ANSWER = 15.0
"""Seconds that a supervisor may take to answer."""
LOOK = 5.0
"""Seconds between two attempts to connect anew, at most."""
TRIES = 8
"""Attempts to start a supervisor, before its absence is reported."""

Changed = Callable[[list[str], list[str]], None]


class SupervisorClient:
    """One connection for all that a backend asks, with a thread that hears what is told.

    Args:
        places: where the supervisor is.
        on_changed: called with the ids of jobs that have ended, and of those that are somewhere else.
        on_open: called when a connection was made: what happened before is not told any more.
        wanted: tells whether somebody still waits for a job, so that a lost connection is made anew.
    """

    def __init__(
        self,
        places: RuntimePaths,
        on_changed: Changed,
        on_open: Callable[[], None],
        wanted: Callable[[], bool],
    ) -> None:
        self._places = places
        self._on_changed = on_changed
        self._on_open = on_open
        self._wanted = wanted
        self._lock = threading.RLock()
        self._connection: _Connection | None = None
        self._pid = os.getpid()
        self._closed = False

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Ask the supervisor something, and return its answer.

        Raises:
            BackendUnavailableError: it does not answer within a bound, and neither does a new one.
        """
        for _ in range(2):
            connection = self._connected()
            answer = connection.ask(message)
            if answer is not None:
                return answer
            self._lose(connection)
        raise self._silent()

    def open(self) -> None:
        """Connect, so that changes are heard of.

        Raises:
            BackendUnavailableError: no supervisor can be reached.
        """
        connection = self._connection
        if connection is None or connection.is_lost or self._pid != os.getpid():
            self._connected()

    def close(self) -> None:
        """Close the connection; what runs runs on."""
        self._closed = True
        connection = self._connection
        if connection is not None and self._pid == os.getpid():
            self._lose(connection)

    # --- how it is done -----------------------------------------------------------------------

    def _connected(self) -> _Connection:
        if self._pid != os.getpid():  # the connection, its thread and its locks are those of our parent
            self._lock, self._connection, self._pid = threading.RLock(), None, os.getpid()
        with self._lock:
            if self._connection is None or self._connection.is_lost:
                self._connection = _Connection(self._meet(), self._on_changed, self._on_open, self._again)
                self._connection.start()
            return self._connection

    def _lose(self, connection: _Connection) -> None:
        with self._lock:
            if self._connection is connection:
                self._connection = None
        connection.end()

    def _again(self, connection: _Connection) -> None:
        """The supervisor has gone: have a new one as long as somebody waits."""
        self._lose(connection)
        failures = 0
        while self._connection is None and not self._closed and self._wanted():
            try:
                self.open()
            except (AnyjobError, OSError, subprocess.SubprocessError):
                failures += 1
                time.sleep(backoff(failures, ceiling=LOOK))

    def _meet(self) -> FrameSocket:
        """Return a connection to a supervisor that has welcomed us, and tells us of changes from now on."""
        for attempt in range(1, TRIES + 1):
            socket = connect(self._places.supervisor_socket)
            if socket is not None and (frames := self._welcomed(FrameSocket(socket))):
                return frames
            self._start_supervisor()
            if attempt > 1:
                time.sleep(backoff(attempt - 1, ceiling=1.0))
        raise self._silent()

    def _welcomed(self, frames: FrameSocket) -> FrameSocket | None:
        """Say hello; None where another supervisor is to be had."""
        deadline = time.monotonic() + ANSWER
        try:
            protocol = _greet(frames, deadline)
            if protocol == PROTOCOL:
                return frames
            if protocol < PROTOCOL:
                frames.send({"op": "retire"})
                _await_end(frames, deadline)
        except TimeoutError:
            frames.close()
            raise self._silent() from None
        except (EOFError, OSError):
            protocol = 0  # it has just gone
        frames.close()
        if protocol > PROTOCOL:
            raise BackendUnavailableError(
                f"a supervisor of a newer anyjob serves {self._places.state} (protocol {protocol}; this one "
                f"speaks {PROTOCOL}): upgrade anyjob here, or set ANYJOB_STATE to another directory"
            )
        return None

    def _start_supervisor(self) -> None:
        try:
            started = subprocess.run(
                self._places.program("supervisor"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
                env=environment(),
                timeout=60,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise BackendUnavailableError(
                f"the supervisor of the local backend cannot be started: {error}"
            ) from error
        if started.returncode:
            said = started.stderr.decode("utf-8", "replace").strip()
            raise BackendUnavailableError(f"the supervisor of the local backend does not start: {said}")

    def _silent(self) -> BackendUnavailableError:
        log = self._places.logs / "supervisor.err"
        pid = holder(self._places.supervisor_lock)
        if pid is None:
            return BackendUnavailableError(f"no supervisor of the local backend can be reached: see {log}")
        return BackendUnavailableError(
            f"the supervisor of the local backend (pid {pid}) does not answer within {ANSWER:g} s: see {log}"
            "; it may be killed at any time: jobs run on, and a new one takes over"
        )


class _Connection:
    """A connection that the supervisor has welcomed, and the thread that reads from it."""

    def __init__(
        self,
        frames: FrameSocket,
        on_changed: Changed,
        on_open: Callable[[], None],
        on_end: Callable[[_Connection], None],
    ) -> None:
        self._frames = frames
        self._on_changed = on_changed
        self._on_end = on_end
        self._numbers = itertools.count()
        self._asked: set[int] = set()
        self._answers: dict[int, dict[str, Any]] = {}
        self._sending = threading.Lock()
        self._arrived = threading.Condition()
        self._to_tell: deque[Callable[[], None]] = deque([on_open])
        self._thread = threading.Thread(target=self._run, name="anyjob-local", daemon=True)
        self.is_lost = False

    def start(self) -> None:
        """Hear from now on."""
        self._thread.start()

    def ask(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer to a message; None where none comes within a bound."""
        number = next(self._numbers)
        deadline = time.monotonic() + ANSWER
        self._asked.add(number)
        try:
            with self._sending:
                self._frames.send({**message, "ack": number})
                _ready(self._frames, 0, deadline, sending=True)
            if threading.current_thread() is self._thread:
                self._read_until(number, deadline)
            with self._arrived:
                self._arrived.wait_for(
                    lambda: number in self._answers or self.is_lost, deadline - time.monotonic()
                )
                return self._answers.pop(number, None)
        except (EOFError, OSError):
            return None
        finally:
            self._asked.discard(number)

    def end(self) -> None:
        """Have the thread end, and those who wait for an answer."""
        with self._arrived:
            self.is_lost = True
            self._arrived.notify_all()
        self._frames.shutdown()

    def _run(self) -> None:
        try:
            while True:
                while self._to_tell:
                    self._tell(self._to_tell.popleft())
                self._read()
        except (EOFError, OSError):
            pass
        self.end()
        with self._sending:
            self._frames.close()
        self._on_end(self)

    def _tell(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception:  # a callback's, or a ledger's that cannot be read now
            import logging

            logging.getLogger("anyjob").exception("telling of changed jobs")

    def _read(self) -> None:
        for message in self._frames.receive():
            if message["op"] == "changed":
                self._to_tell.append(partial(self._on_changed, message["ended"], message["moved"]))
            elif message["op"] == "ack":
                with self._arrived:
                    if message["ack"] in self._asked:
                        self._answers[message["ack"]] = message
                        self._arrived.notify_all()

    def _read_until(self, number: int, deadline: float) -> None:
        """A callback of ours asks something: nobody else reads meanwhile."""
        while number not in self._answers:
            _ready(self._frames, select.POLLIN, deadline)
            self._read()


def _greet(frames: FrameSocket, deadline: float) -> int:
    """Say hello; return the protocol of who answers."""
    frames.send({"op": "hello", "protocol": PROTOCOL})
    while True:
        _ready(frames, select.POLLIN, deadline, sending=True)
        for message in frames.receive():
            if message["op"] == "welcome":
                return int(message["protocol"])


def _await_end(frames: FrameSocket, deadline: float) -> NoReturn:
    """Send what is to be sent, and read until the other end closes: EOFError says so."""
    while True:
        _ready(frames, select.POLLIN, deadline, sending=True)
        frames.receive()


def _ready(frames: FrameSocket, events: int, deadline: float, *, sending: bool = False) -> None:
    """Send what is to be sent, and wait until there is something to be read if that is among the events.

    Raises:
        TimeoutError: the deadline has passed.
        OSError: the connection is broken.
    """
    poll = select.poll()
    while True:
        left = sending and not frames.flush()
        if not left and not events:
            return
        poll.register(frames, select.POLLOUT if left else events)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        if not left:
            return
