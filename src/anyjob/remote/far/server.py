"""The far end of a channel: ``anyjob serve --stdio``. It keeps nothing: its session's ledger is the truth."""

from __future__ import annotations

import os
import queue
import select
import sys
import threading
import time
from typing import Any

import msgspec

from anyjob import __version__
from anyjob.errors import AnyjobError
from anyjob.remote import frames
from anyjob.remote.messages import MAGIC, PROTOCOL, REQUESTS, Changed, Failure, Hello, OfferedBackend
from anyjob.remote.outbox import Outbox

TOGETHER = 0.02
"""Seconds for which changes are gathered, so that many at a time are one message."""
THREADS = 8


def serve(patience: float) -> None:
    """Serve whoever has started this program, until it has gone, or has said nothing for so many seconds."""
    reader, writer = _move_streams()
    os.write(writer, MAGIC)
    Server(reader, writer, patience).run()
    # What is left are threads that wait for engines: nobody wants to hear of that.
    os._exit(0)


def _move_streams() -> tuple[int, int]:
    """Take stdin and stdout for the channel alone: what is read or printed by others goes elsewhere."""
    reader, writer = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    return reader, writer


class Server:
    """Takes requests, has them done by threads, and tells what has changed.

    Args:
        reader: the descriptor of what the other end says.
        writer: that of what is said to it.
        patience: seconds without a word of the other end, after which this one ends.
    """

    def __init__(self, reader: int, writer: int, patience: float) -> None:
        self._patience = patience
        self._reader = reader
        self._outbox = Outbox(writer, lambda: os._exit(0))  # the other end has gone
        self._changed: set[str] = set()
        self._has_changed = threading.Event()
        self._lock = threading.Lock()
        self._handler: Any = None
        self._requests: queue.SimpleQueue[tuple[int, str, msgspec.Raw]] = queue.SimpleQueue()

    def run(self) -> None:
        """Serve, until the other end has gone, or says nothing for long."""
        threading.Thread(target=self._outbox.run, name="anyjob-write", daemon=True).start()
        threading.Thread(target=self._tell_changes, name="anyjob-changes", daemon=True).start()
        for _ in range(THREADS):
            threading.Thread(target=self._do_requests, name="anyjob-request", daemon=True).start()
        self._say(0, "hello", self._hello())
        messages = frames.FrameReader()
        while True:
            if not select.select([self._reader], [], [], self._patience)[0]:
                return
            try:
                for message in messages.read(self._reader):
                    self._take(*frames.decode(message))
            except EOFError:
                return
            except (OSError, frames.NotOurs) as error:
                print(f"anyjob serve: {error}", file=sys.stderr, flush=True)
                return

    def _hello(self) -> Hello:
        import platform

        from anyjob.ledger.identity import HOST

        hello = Hello(
            PROTOCOL,
            __version__,
            "v1",
            platform.python_version(),
            HOST,
            str(os.environ.get("USER") or os.geteuid()),
            time=time.time(),
            pid=os.getpid(),
        )
        try:
            from anyjob.remote.far import state_directory
            from anyjob.remote.far.request_handler import RequestHandler
            from anyjob.session.default import default_session

            session = default_session()
            hello.state = str(session.ledger.state)
            hello.identity = state_directory.identity(session.ledger.state)
            hello.jobs = session.ledger.last_number()
            hello.machine = state_directory.machine()
            hello.default = session.default_backend()
            names = {hello.default: None, **dict.fromkeys(session.config.backends)}
            for name in names:
                entry = session.config.entry("backends", name)
                hello.backends[name] = OfferedBackend(entry.type if entry else name)
            self._handler = RequestHandler(session, self._note_change)
            found = os.statvfs(hello.state)
            hello.free = found.f_bavail * found.f_frsize
        except (AnyjobError, OSError) as error:
            hello.problem = str(error)
        return hello

    # --- requests ---------------------------------------------------------------------------------

    def _take(self, number: int, word: str, body: msgspec.Raw) -> None:
        if word == "ping":
            self._say(number, "ok", None)
        else:
            self._requests.put((number, word, body))

    def _do_requests(self) -> None:
        while True:
            self._do(*self._requests.get())

    def _do(self, number: int, word: str, body: msgspec.Raw) -> None:
        from anyjob.remote.far.request_handler import failure

        try:
            if word not in REQUESTS:
                raise frames.NotOurs(f"nothing is called {word!r:.40} here: the versions differ")
            if self._handler is None:
                raise AnyjobError("the configuration there cannot be used")
            answer = self._handler.requests[word](frames.decode_body(body, REQUESTS[word][0]))
            self._say(number, "ok", answer)
        except BaseException as error:  # answered to whoever has asked: this side serves others, too
            self._say(number, "error", failure(error))

    def _say(self, number: int, word: str, body: Any) -> None:
        try:
            message = frames.encode(number, word, body)
        except UnicodeEncodeError as error:  # text of an engine that is no text
            message = frames.encode(number, "error", Failure("fault", f"it cannot be told: {error.reason}"))
        self._outbox.put(*message)

    # --- changes ----------------------------------------------------------------------------------

    def _note_change(self, job_id: str) -> None:
        with self._lock:
            self._changed.add(job_id)
        self._has_changed.set()

    def _tell_changes(self) -> None:
        while True:
            self._has_changed.wait()
            time.sleep(TOGETHER)
            self._has_changed.clear()
            with self._lock:
                changed, self._changed = self._changed, set()
            if changed:
                self._say(0, "changed", Changed(sorted(changed)))
