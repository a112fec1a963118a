"""One connection to a supervisor: what is asked over it, and the threads that hear it, and tell others."""

from __future__ import annotations

import itertools
import select
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.ipc.protocol import CLIENT_PROTOCOL
from anyjob.process.forks import in_children
from anyjob.process.reporting import report

Changed = Callable[[list[str], list[str]], None]
QUIET = 10.0
"""Seconds in which a supervisor may say nothing to who waits, before it is asked; and as many to answer."""


class SupervisorConnection:
    """A connection that the supervisor has welcomed.

    One thread reads from it, and so serves who waits for an answer at once. Another tells of changes, of all
    that have come meanwhile: the callbacks that this leads to may ask something.

    Args:
        frames: the connection.
        on_changed: called with the ids of jobs that have ended, and of those that are somewhere else.
        on_open: called first.
        on_end: called last.
        wanted: tells whether somebody waits for a job.
        on_silence: called where the supervisor says nothing though somebody waits, and it was asked to.
    """

    def __init__(
        self,
        frames: FrameSocket,
        on_changed: Changed,
        on_open: Callable[[], None],
        on_end: Callable[[SupervisorConnection], None],
        wanted: Callable[[], bool],
        on_silence: Callable[[], None],
    ) -> None:
        self._frames = frames
        self._on_changed = on_changed
        self._on_open = on_open
        self._on_end = on_end
        self._wanted = wanted
        self._on_silence = on_silence
        self._next_number = itertools.count()
        self._awaited: set[int] = set()
        self._answers: dict[int, dict[str, Any]] = {}
        self._send_lock = threading.Lock()
        self._arrived = threading.Condition()
        self._changed = threading.Condition()
        self._ended: list[str] = []
        self._moved: list[str] = []
        self._thread = threading.Thread(target=self._run, name="anyjob-local", daemon=True)
        self._teller = threading.Thread(target=self._tell, name="anyjob-local-tells", daemon=True)
        self.is_lost = False
        in_children(frames.close)  # it is our parent's, of whose end the supervisor is to hear

    def start(self) -> None:
        """Receive from now on."""
        self._thread.start()
        self._teller.start()

    def ask(self, message: dict[str, Any], deadline: float) -> dict[str, Any] | None:
        """Return the answer to a message; None where none comes in time.

        Args:
            message: what is asked; the number that the answer is known by is added.
            deadline: until when, by `time.monotonic`.
        """
        number = next(self._next_number)
        self._awaited.add(number)
        try:
            with self._send_lock:
                self._frames.send({**message, "ack": number})
                wait_ready(self._frames, 0, deadline, sending=True)
            with self._arrived:
                self._arrived.wait_for(
                    lambda: number in self._answers or self.is_lost, deadline - time.monotonic()
                )
                return self._answers.pop(number, None)
        except (EOFError, OSError):
            return None
        finally:
            self._awaited.discard(number)

    def say(self, message: dict[str, Any]) -> None:
        """Say something that is not answered; where the connection is lost, it is not heard."""
        with suppress(OSError), self._send_lock:
            self._frames.send(message)
            self._frames.flush()

    def end(self) -> None:
        """Have the thread end, and those who wait for an answer."""
        with self._arrived:
            self.is_lost = True
            self._arrived.notify_all()
        with self._changed:
            self._changed.notify_all()
        self._frames.shutdown()

    def _run(self) -> None:
        try:
            while True:
                self._await_message()
                self._receive()
        except (EOFError, OSError):
            pass
        self.end()
        with self._send_lock:
            self._frames.close()
        self._on_end(self)

    def _await_message(self) -> None:
        """Wait until there is something to read: one that was stopped neither speaks nor hangs up."""
        poll = select.poll()
        poll.register(self._frames, select.POLLIN)
        silent = 0
        while not poll.poll(QUIET * 1000):
            silent = silent + 1 if self._wanted() else 0
            if silent == 1:
                with self._send_lock:
                    self._frames.send({"op": "ping", "ack": next(self._next_number)})
                    self._frames.flush()
            elif silent == 2:
                self._on_silence()

    def _tell(self) -> None:
        self._call(self._on_open)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._moved or self.is_lost)
                ended, self._ended = self._ended, []
                moved, self._moved = self._moved, []
            if not ended and not moved:
                return
            self._call(self._on_changed, ended, moved)

    def _call(self, callback: Callable[..., None], *arguments: list[str]) -> None:
        try:
            callback(*arguments)
        except Exception as error:  # a callback's, or a ledger's that cannot be read now
            report("telling of changed jobs, which is tried again: %s", error, level="error", error=error)

    def _receive(self) -> None:
        for message in self._frames.receive():
            if message["op"] == "changed":
                self._take_changed(message["ended"], message["moved"])
            elif message["op"] == "warning":
                report("%s", message["text"])
            elif message["op"] == "ack":
                with self._arrived:
                    awaited = message["ack"] in self._awaited
                    if awaited:
                        self._answers[message["ack"]] = message
                        self._arrived.notify_all()
                if not awaited and message.get("ended"):  # Ctrl-C, while it was cancelled
                    self._take_changed([*message["ended"]])

    def _take_changed(self, ended: Sequence[str], moved: Sequence[str] = ()) -> None:
        with self._changed:
            self._ended += ended
            self._moved += moved
            self._changed.notify()


def greet(frames: FrameSocket, deadline: float) -> int:
    """Say hello; return the protocol of who answers.

    Raises:
        TimeoutError: nobody does.
        EOFError, OSError: the connection has ended.
    """
    frames.send({"op": "hello", "protocol": CLIENT_PROTOCOL})
    while True:
        wait_ready(frames, select.POLLIN, deadline, sending=True)
        for message in frames.receive():
            if message["op"] == "welcome":
                if message.get("trouble"):
                    report("%s", message["trouble"])
                return int(message["protocol"])


def await_end(frames: FrameSocket, deadline: float) -> NoReturn:
    """Send what is to be sent, and read until the other end closes: EOFError says so."""
    while True:
        wait_ready(frames, select.POLLIN, deadline, sending=True)
        frames.receive()


def wait_ready(frames: FrameSocket, events: int, deadline: float, *, sending: bool = False) -> None:
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
