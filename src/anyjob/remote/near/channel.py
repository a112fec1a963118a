"""The near end of a channel: the program that carries it, the requests on it, and the pings."""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswer
from contextlib import suppress
from typing import Any, NamedTuple

from anyjob import __version__
from anyjob.errors import (
    BackendAuthError,
    BackendError,
    BackendUnavailableError,
    JobError,
    JobNotFoundError,
    SpecError,
    UnsupportedSpecError,
    in_words,
)
from anyjob.process.reporting import report
from anyjob.remote import frames
from anyjob.remote.messages import CHUNK, MAGIC, PROTOCOL, REQUESTS, Changed, Failure, Hello
from anyjob.remote.outbox import Outbox
from anyjob.text.printable import printable

PING = 5.0
"""Seconds between two pings."""
UNANSWERED = 4
"""Pings in a row after which the other end is taken for gone: counted, not timed, since a laptop sleeps."""
NOISE = 64 << 10
"""Bytes that a login shell may print before the other end speaks."""
LAST_WORDS = 16 << 10
"""Bytes of the end of what the program writes to stderr that are kept."""
ANSWERED = 120.0
"""Seconds within which a request is answered while pings are: else its engine there hangs."""
OURS = b"anyjob: warning: "
"""What the lines on stderr begin with that anyjob there has for its user."""
_SPOKEN = re.compile(rb"\nanyjob-remote-([0-9]{1,9})\n")
"""The first line of whatever anyjob, of this protocol or another."""
_READ = 1 << 16  # what a pipe holds: for more, each read would map memory of its own

_ERRORS: dict[str, type[BackendError] | type[JobError] | type[SpecError]] = {
    "auth": BackendAuthError,
    "away": BackendUnavailableError,
    "no-job": JobNotFoundError,
    "spec": SpecError,
    "unsupported": UnsupportedSpecError,
}


class Ending(NamedTuple):
    """How the program that carried a channel has ended.

    Args:
        code: its exit code, or minus the signal that ended it; None: it ran on, and was ended by us.
        stderr: the end of what it wrote there.
        noise: what came on its stdout in place of the other end's words, or before them.
        after: seconds for which it ran.
    """

    code: int | None
    stderr: str
    noise: str
    after: float


class Channel:
    """A connection to the far end, opened when it is made.

    Args:
        argv: the program that carries it.
        environment: its environment.
        explain: makes an error of how it has ended before the other end spoke.
        changed: called with the ids of jobs that have changed.
        lost: called once when the channel is gone that was open.
        timeout: seconds within which the other end has to speak.

    Attributes:
        hello: what the far end has said first.
        bodies: the numbers of bodies that are sent over it.
        noise: what the login shell has printed before that.

    Raises:
        BackendError: it cannot be opened; as ``explain`` says.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        explain: Callable[[Ending], BackendError],
        changed: Callable[[Sequence[str]], None],
        lost: Callable[[], None],
        timeout: float,
    ) -> None:
        self._changed, self._lost = changed, lost
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[str, Future[Any]]] = {}
        self._number = 0
        self.bodies = itertools.count(1)
        self._heard = True
        self._closed = False
        self._stderr = bytearray()
        self._frames = frames.FrameReader()
        self.noise = ""
        self.hello = Hello(0)
        started = time.monotonic()
        try:
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C in a terminal is not meant for it
                bufsize=0,
            )
        except OSError as error:
            raise BackendError(f"cannot start {argv[0]}: {error.strerror or error}") from error
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        for pipe in (self._child.stdin, self._child.stdout):
            with suppress(OSError):  # there is a limit to what all of a user's pipes hold
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, CHUNK)
        self._outbox = Outbox(os.dup(self._child.stdin.fileno()), lambda: None)  # who reads hears of its end
        self._child.stdin.close()
        self._is_read = False
        self._errors = self._start("stderr", self._read_stderr)
        try:
            rest = self._open(started + timeout)
        except BaseException as error:
            code = self._child.poll() if isinstance(error, _Ended) else None
            if isinstance(error, _Ended) and code is None:
                with suppress(subprocess.TimeoutExpired):
                    code = self._child.wait(1.0)
            self._end()
            if isinstance(error, (_Ended, frames.NotOurs)):
                noise = self.noise if isinstance(error, _Ended) else f"{self.noise}{error}"
                raise explain(Ending(code, self._said(), noise, time.monotonic() - started)) from None
            raise
        self._is_read = True
        self._start("read", lambda: self._read(rest))
        self._start("write", self._outbox.run)
        self._start("ping", self._ping)

    def _start(self, what: str, target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"anyjob-channel-{what}", daemon=True)
        thread.start()
        return thread

    # --- opening --------------------------------------------------------------------------------

    def _open(self, deadline: float) -> list[bytes | bytearray]:
        """Wait for the magic line and the hello, without writing a word; return what came after.

        Raises:
            _Ended: neither came.
            NotOurs: something else came.
            BackendError: it speaks another protocol.
        """
        held = b""
        while (spoken := _SPOKEN.search(held)) is None:
            held += self._read_until(deadline)
            self.noise = held[:NOISE].decode("utf-8", "replace")
            if len(held) > NOISE:
                raise _Ended
        self.noise = held[: spoken.start()].decode("utf-8", "replace")
        if spoken[0] != MAGIC:
            raise _other_protocol("unknown", int(spoken[1]))
        messages = list(self._frames.feed(held[spoken.end() :]))
        while not messages:
            messages = list(self._frames.feed(self._read_until(deadline)))
        _, word, body = frames.decode(messages[0])
        hello: Hello = frames.decode_body(body, Hello) if word == "hello" else Hello(0)
        for name in Hello.__struct_fields__:
            if isinstance(text := getattr(hello, name), str):
                setattr(hello, name, printable(text))  # it stands in words of ours from now on
        if hello.protocol != PROTOCOL:
            raise _other_protocol(hello.anyjob or "unknown", hello.protocol)
        self.hello = hello
        return messages[1:]

    def _read_until(self, deadline: float) -> bytes:
        assert self._child.stdout is not None
        descriptor = self._child.stdout.fileno()
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise _Ended
        data = os.read(descriptor, _READ)
        if not data:
            raise _Ended
        return data

    def _read_stderr(self) -> None:
        assert self._child.stderr is not None
        line = b""
        while data := os.read(self._child.stderr.fileno(), _READ):
            self._stderr += data
            del self._stderr[:-LAST_WORDS]
            *lines, line = (line + data).split(b"\n")
            line = line[-LAST_WORDS:]
            for each in lines:
                self._pass_on(each)
        self._child.stderr.close()

    def _pass_on(self, line: bytes) -> None:
        """Report what the anyjob there has to say, such as that its disk is full."""
        if line.startswith(OURS) and self.hello.host:
            report("%s: %s", self.hello.host, printable(line[len(OURS) :].decode("utf-8", "replace")))

    def _said(self) -> str:
        self._errors.join(1.0)
        return bytes(self._stderr).decode("utf-8", "replace")

    # --- requests -------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it carries requests, as far as is known: who reads from it may hear of its end later."""
        return not self._closed and self._child.poll() is None

    def send(self, word: str, body: Any) -> Future[Any]:
        """Send a request; return what will have its answer. It does not block.

        Raises:
            BackendUnavailableError: the channel is gone.
        """
        answer: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise BackendUnavailableError("the connection is closed")
            self._number += 1
            number = self._number
            self._waiting[number] = word, answer
        self._outbox.put(*frames.encode(number, word, body))
        return answer

    def ask(self, word: str, body: Any) -> Any:
        """Send a request, and wait for its answer.

        Raises:
            BackendUnavailableError: the channel is gone, or what was asked there hangs.
            BackendError: the far side could not do it.
        """
        return answered(self.send(word, body))

    def _take(self, message: bytes | bytearray) -> None:
        number, word, body = frames.decode(message)
        self._heard = True
        if number == 0:
            if word == "changed":
                self._changed(frames.decode_body(body, Changed).ids)
            return
        with self._lock:
            asked, answer = self._waiting.pop(number, ("", None))
        if answer is None:
            return
        if word == "ok":
            answer.set_result(frames.decode_body(body, REQUESTS[asked][1]))
        else:
            failure: Failure = frames.decode_body(body, Failure)
            kind = _ERRORS.get(failure.error, BackendError)
            words = printable(failure.message, keep="\n\t")
            answer.set_exception(kind(f"{self.hello.host}: {words}"))  # its configuration is not the one here

    # --- threads --------------------------------------------------------------------------------

    def _read(self, messages: Sequence[bytes | bytearray]) -> None:
        assert self._child.stdout is not None
        descriptor = self._child.stdout.fileno()
        try:
            for message in messages:
                self._take(message)
            while True:
                for message in self._frames.read(descriptor):
                    self._take(message)
        except EOFError:
            pass
        except Exception as error:  # it ends the connection, and all who wait are told
            if not self._closed:
                report("the connection to %s is given up: %s", self.hello.host, in_words(error))
        self._lose()
        # Whoever reads from it closes it: else its number may be that of the next channel's by then, and this
        # thread would read the beginning of that.
        self._child.stdout.close()

    def _ping(self) -> None:
        unanswered = 0
        while not self._closed:
            self._heard = False
            with suppress(BackendUnavailableError):
                self.send("ping", None)
            time.sleep(PING)
            unanswered = 0 if self._heard else unanswered + 1
            if unanswered >= UNANSWERED:
                self._lose()

    def _lose(self) -> None:
        """The other end has gone: whoever waits for an answer is told so."""
        with self._lock:
            was_open, self._closed = not self._closed, True
            waiting, self._waiting = self._waiting, {}
        if not was_open:
            return
        self._end()
        words = self._said().strip().splitlines()
        error = BackendUnavailableError(
            f"the connection to {self.hello.host} is lost" + (f": {words[-1]}" if words else "")
        )
        for _, answer in waiting.values():
            answer.set_exception(error)
        self._lost()

    def close(self) -> None:
        """End the connection; what runs there runs on."""
        with self._lock:
            was_open, self._closed = not self._closed, True
            waiting, self._waiting = self._waiting, {}
        for _, answer in waiting.values():
            answer.set_exception(BackendUnavailableError("the connection was closed"))
        if was_open:
            self._end()

    def _end(self) -> None:
        self._outbox.close()
        child = self._child
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
        try:
            child.wait(2.0)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        # A process that it has left may hold its stderr open: no longer than a moment is waited for that.
        self._errors.join(0.5)
        if child.stdout is not None and not self._is_read:
            child.stdout.close()


class _Ended(Exception):
    """The program has ended, or has said nothing in time."""


def _other_protocol(version: str, protocol: int) -> BackendError:
    return BackendError(
        f"anyjob there is of version {version}, of protocol {protocol}, and here it is {__version__}, of "
        f"protocol {PROTOCOL}: install the same version on both sides; jobs that are there run on meanwhile"
    )


def answered(answer: Future[Any]) -> Any:
    """Wait for the answer to a request.

    Raises:
        BackendUnavailableError: the channel is gone, or what was asked there hangs.
        BackendError: the far side could not do it.
    """
    try:
        return answer.result(ANSWERED)
    except NoAnswer:
        raise BackendUnavailableError(f"no answer within {ANSWERED:g} s") from None
