"""The clients of a supervisor: what each asks, and what all are told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from anyjob.builtin.local.error_log import log_error
from anyjob.builtin.local.ipc import sockets
from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.ipc.protocol import CLIENT_PROTOCOL
from anyjob.errors import AnyjobError, BackendUnavailableError

UNREAD = 64 << 20
"""Bytes that a client may leave unread; it is told no more then, and looks for itself when it is back."""


class Cancelled(NamedTuple):
    """What is done by a cancel: all other jobs are refused."""

    accepted: list[str]
    """Those that are to end."""
    ended: dict[str, int]
    """The attempts of those that have ended, by id."""
    finished: float
    """When that was, in seconds since 1970."""


class Requests(Protocol):
    """Who does what clients ask."""

    def rescan(self, backend: int) -> None:
        """There are new jobs of a backend in the ledger."""

    def advance(self, job_ids: list[str]) -> None:
        """Jobs have ended in the ledger or may start, since a client has written the end of others."""

    def cancel(self, job_ids: list[str]) -> Cancelled:
        """Cancel jobs; say what is done by that.

        Raises:
            BackendUnavailableError: that cannot be done now.
        """

    def control(self, action: str, job_ids: list[str], value: int | None) -> list[str]:
        """Hold, release, pause or resume jobs, or give them a priority; return those to which it was done.

        Raises:
            BackendUnavailableError: that cannot be done now.
        """

    def adjust(self, backend: int) -> None:
        """The options of a backend were set anew, in the ledger."""

    def waiting(self, job_id: str, attempt: int) -> None:
        """A client that is part of a job waits for others."""

    def resumed(self, job_id: str, attempt: int) -> None:
        """A client that has waited goes on, or is gone."""

    def client_lost(self) -> None:
        """A client is gone: perhaps before it has said what it has put into the ledger."""

    def is_current(self) -> bool:
        """Tell whether this serves new clients, or they are to start the next supervisor."""

    def stop(self, successor: list[str] | None = None) -> None:
        """End; what runs runs on. The keeper starts the successor by this command, if there is one."""


class Clients:
    """All that are connected.

    Args:
        loop: the supervisor's event loop.
        listener: the socket that they connect to.
        requests: who does what they ask.

    Attributes:
        trouble: what they are told when they come; empty for nothing.
    """

    def __init__(self, loop: EventLoop, listener: socket.socket, requests: Requests) -> None:
        self._loop = loop
        self._listener = listener
        self._requests = requests
        self._all: set[FrameSocket] = set()
        self._waiting: dict[FrameSocket, tuple[str, int]] = {}
        self.trouble = ""
        loop.add_reader(listener, self._accept)

    def __bool__(self) -> bool:
        return bool(self._all)

    def tell_changed(self, ended: Sequence[str], moved: Sequence[str]) -> None:
        """Tell all of them which jobs have ended, and which are somewhere else."""
        self._tell_changed(list(self._all), ended, moved)

    def _tell_changed(
        self, clients: Iterable[FrameSocket], ended: Sequence[str], moved: Sequence[str] = ()
    ) -> None:
        for client in clients:
            self._send(client, {"op": "changed", "ended": ended, "moved": moved})

    def warn(self, text: str) -> None:
        """Tell all of them that what they wait for does not come, and why."""
        for client in list(self._all):
            self._send(client, {"op": "warning", "text": text})

    def _accept(self) -> None:
        accepted = sockets.accept(self._listener)
        if accepted is not None:
            client = FrameSocket(accepted[0])
            self._all.add(client)
            self._loop.add_reader(client, lambda: self._receive(client))

    def _receive(self, client: FrameSocket) -> None:
        try:
            for message in client.receive():
                self._answer(client, message)
        except (EOFError, OSError):
            self._drop(client)
        except (AnyjobError, LookupError, TypeError, ValueError) as error:
            log_error(error)  # it speaks something else
            self._drop(client)

    def _answer(self, client: FrameSocket, message: dict[str, Any]) -> None:
        if message["op"] in ("hello", "rescan") and not self._requests.is_current():
            self._requests.stop()
            self._drop(client)
            return
        match message["op"]:
            case "hello":
                welcome = {"op": "welcome", "protocol": CLIENT_PROTOCOL, "pid": os.getpid()}
                self._send(client, {**welcome, "trouble": self.trouble})
            case "rescan":
                self._requests.rescan(message["backend"])
                self._send(client, {"op": "ack", "ack": message["ack"]})
            case "advance":
                self._requests.advance(message["ids"])
                self._send(client, {"op": "ack", "ack": message["ack"]})
            case "cancel":
                answer: dict[str, Any] = {"op": "ack", "ack": message["ack"]}
                try:
                    answer |= self._requests.cancel(message["ids"])._asdict()
                except BackendUnavailableError as error:
                    answer["unavailable"] = str(error)
                self._send(client, answer)
                if answer.get("ended"):  # which who has asked knows by the answer
                    self._tell_changed(self._all - {client}, [*answer["ended"]])
            case "control":
                answer = {"op": "ack", "ack": message["ack"]}
                try:
                    answer["accepted"] = self._requests.control(
                        message["action"], message["ids"], message.get("value")
                    )
                except BackendUnavailableError as error:
                    answer["unavailable"] = str(error)
                self._send(client, answer)
                self._tell_changed(self._all, (), answer.get("accepted", ()))
            case "adjust":
                self._requests.adjust(message["backend"])
                self._send(client, {"op": "ack", "ack": message["ack"]})
            case "waiting" if client not in self._waiting:
                key = self._waiting[client] = str(message["job"]), int(message["attempt"])
                self._requests.waiting(*key)
            case "resumed":
                self._resumed(client)
            case "ping":
                self._send(client, {"op": "ack", "ack": message["ack"]})
            case "shutdown":
                # A client of a newer version wants a supervisor of its own, which takes over what
                # runs as after a kill. The keeper would start one like this again, for ever.
                self._requests.stop(message["successor"])

    def _resumed(self, client: FrameSocket) -> None:
        key = self._waiting.pop(client, None)
        if key is not None:
            self._requests.resumed(*key)

    def _send(self, client: FrameSocket, message: dict[str, Any]) -> None:
        client.send(message)
        self._loop.flush(client)
        if client.pending > UNREAD:
            self._drop(client)

    def _drop(self, client: FrameSocket) -> None:
        if client in self._all:
            self._all.discard(client)
            self._loop.remove_reader(client)
            client.close()
            self._resumed(client)
            self._requests.client_lost()
