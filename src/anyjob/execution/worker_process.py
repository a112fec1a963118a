"""A process that makes one call after the other, so that a call need not wait for an interpreter to start."""

from __future__ import annotations

import fcntl
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from socket import SHUT_RDWR, socket, socketpair
from typing import TYPE_CHECKING, Any, NamedTuple

from anyjob.execution import interpreter, spawning
from anyjob.execution.child_program import exit_outcome, wait_for_exit
from anyjob.outcome import Outcome
from anyjob.process.forks import in_children
from anyjob.serialization.packed_call import Part
from anyjob.serialization.stored_values import StoredValue
from anyjob.spool.private_files import append_private
from anyjob.standalone import call_server
from anyjob.standalone.pickle_streams import MessageWriter, read_frame
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.standalone.call_server import Request

STREAMS = ("stdout", "stderr")
Logs = dict[str, tuple[Path, int, int | None]]
"""Which part of which file each stream is, in bytes: from where, and up to where once that is known."""


_BOOT = (
    "import sys,types;p=sys.modules['anyjob_worker']=types.ModuleType('anyjob_worker');"
    "p.__path__=[sys.argv.pop(1)];from anyjob_worker.call_server import main;main()"
)
"""Imports our modules from where they are, as a package of their own: anyjob may not be installed there."""


class Surroundings(NamedTuple):
    """What calls find that were handed over at one time: see `anyjob.standalone.call_server.Request`."""

    variables: dict[bytes, bytes]
    path: list[str]
    submitted: float


class Outdated(Exception):
    """Raised where a worker has made no call, for modules that it has imported are others by now."""


def _above_streams(end: socket) -> socket:
    """Return a socket that has none of the numbers of stdin, stdout and stderr, which may be closed."""
    if end.fileno() > 2:
        return end
    with end:
        return socket(fileno=fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3))


class WorkerProcess:
    """A warm process of this machine that makes one call after the other, for the one thread that owns it.

    It leads a session, and is not forked from this process. What a call writes goes to files of its own: who
    asks for its `last_logs` reads and removes them. It is used like this::

        worker.send(dump_call(spec), order.environment)
        report = worker.receive()
        outcome = worker.died() if report is None else outcome_from_report(report)

    Args:
        python: the path of the interpreter; empty for that of this process.
        directory: where the files are that its calls write to.
        number: tells it from others that have the same directory.

    Attributes:
        pid: that of the process.

    Raises:
        ConfigError: there is no interpreter.
        OSError: it cannot be started.
    """

    def __init__(self, python: str, directory: Path, number: int) -> None:
        ours, theirs = map(_above_streams, socketpair())
        self._socket: socket = ours
        self._directory, self._number, self._calls = directory, number, 0
        self._files = {stream: self._file(stream) for stream in STREAMS}
        self._sent = time.time()
        # Linux ends the process with the thread that has started it (see `call_server.die_with_parent`), so
        # that is one which lives as long: it waits for the end. That, and not the end of the stream, tells of
        # its death, since a child of the call may hold our end of the socket open.
        started: SimpleQueue[subprocess.Popen[bytes] | BaseException] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(python, theirs, started), name=f"anyjob-worker-{number}", daemon=True
        )
        try:
            self._thread.start()
            process = started.get()
            if isinstance(process, BaseException):
                raise process
        except BaseException:
            ours.close()
            theirs.close()
            raise
        self._process = process
        self.pid = process.pid
        self._stream = open(ours.fileno(), "rb", closefd=False)  # noqa: SIM115 - close() closes it
        self._start_sizes = self._sizes = [0, 0]
        self._surroundings: Surroundings | None = None
        self._value_file = ""
        self._is_reaped = False
        in_children(self._let_go)

    def _let_go(self) -> None:
        """It is our parent's, and ends with that, as the end of the socket tells it."""
        self._socket.close()
        self._process.returncode = 0

    def _run(
        self, python: str, theirs: socket, started: SimpleQueue[subprocess.Popen[bytes] | BaseException]
    ) -> None:
        try:
            process = self._start(python, theirs)
        except BaseException as error:  # raised by who waits for this thread
            started.put(error)
            return
        started.put(process)
        try:
            wait_for_exit(process)  # it is reaped by close(): until then the pid is its own
        except ChildProcessError:
            self._is_reaped = True  # by the system, since this program ignores SIGCHLD
        try:
            self._socket.shutdown(SHUT_RDWR)
        except OSError:
            pass

    def _file(self, stream: str) -> Path:
        return self._directory / f"worker-{self._number}-{self._calls}.{stream}"

    def _start(self, python: str, theirs: socket) -> subprocess.Popen[bytes]:
        out, err = self._files["stdout"], self._files["stderr"]
        with theirs, append_private(out) as stdout, append_private(err) as stderr:
            ours = os.path.dirname(call_server.__file__)
            return interpreter.spawn_interpreter(
                ["-u", "-P", "-c", _BOOT, ours, str(theirs.fileno()), *sys.path],
                python=python,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Return whether its process has not ended."""
        if not self._thread.is_alive():
            return False
        try:  # the thread may not have come to hear of it yet
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def fileno(self) -> int:
        """Return the descriptor that its answers come by, for who waits for many."""
        return self._socket.fileno()

    def send(self, payload: bytes, environment: Mapping[str, str], cwd: str | None = None) -> None:
        """Have it make a call. If it has died, `receive` says so.

        Args:
            payload: a pickled tuple: what to call, its positional and its keyword arguments; see `dump_call`.
            environment: variables beside those of the process, for this call.
            cwd: where to make it; by default where the process has started.

        Raises:
            OSError: the files that it is to write to cannot be made.
        """
        self._request([Part(payload)], environment, cwd)

    def _request(
        self,
        call: Sequence[Part],
        environment: Mapping[str, str],
        cwd: str | None,
        surroundings: Surroundings | None = None,
        results: Mapping[str, Any] | None = None,
    ) -> None:
        known, self._surroundings = self._surroundings, surroundings
        request: Request = {
            "parts": [call_server.STREAMED if part.pickled is None else len(part.buffers) for part in call],
            "environment": {os.fsencode(name): os.fsencode(value) for name, value in environment.items()},
            "cwd": cwd,
            "outputs": self._renew_files(),
            "submitted": 0.0,
            "value_file": self._value_file,
            "variables": None,
            "path": None,
            "results": None if results is None else dict(results),
        }
        if surroundings is not None:
            request["submitted"] = surroundings.submitted
            if known is None or known.variables != surroundings.variables:
                request["variables"] = surroundings.variables
            if known is None or known.path != surroundings.path:
                request["path"] = surroundings.path
        self._sent = time.time()
        message = MessageWriter(self._socket.fileno())
        message.write(pickle.dumps(request, 5))
        for part in call:
            part.write(message)
        message.end()

    def _renew_files(self) -> dict[int, str]:
        """Make new files in place of those that the last call has written to; return them by descriptor."""
        self._calls += 1
        renewed = {}
        for number, (stream, size) in enumerate(zip(STREAMS, self._sizes, strict=True)):
            if size:
                path = self._file(stream)
                append_private(path).close()
                self._files[stream], self._sizes[number] = path, 0
                renewed[number + 1] = str(path)
        return renewed

    def has_answered(self) -> bool:
        """Return whether `receive` need not wait; to be asked once there is something to read."""
        head = self._stream.peek(8)
        return len(head) < 8 or len(head) - 8 >= int.from_bytes(head[:8], "little")

    def receive(self) -> dict[str, Any] | None:
        """Wait for the report of the call, its value pickled; None where the process has died over it."""
        try:
            answer = pickle.loads(read_frame(self._stream))
        except (OSError, EOFError):
            self._start_sizes = self._sizes
            self._sizes = [path.stat().st_size for path in self._files.values()]
            if self._value_file:
                with suppress(OSError):
                    os.unlink(self._value_file)
            return None
        if answer is None:
            raise Outdated
        report: dict[str, Any]
        report, self._start_sizes, self._sizes, stored = answer
        if stored:
            report["value"] = StoredValue(self._value_file)
        return report

    def died(self) -> Outcome:
        """Close it, and return what came of a call that has ended the process, or was ended with it."""
        outcome = exit_outcome(self.close(), started=self._sent)
        if outcome.status is JobStatus.DONE:
            outcome.status, outcome.reason = JobStatus.ERROR, "exit-code"
        how = "how is not known: this program ignores SIGCHLD" if self._is_reaped else outcome.message
        outcome.message = f"the call ended its process ({how or 'exit code 0'}) and left no result"
        return outcome

    def next_logs(self) -> Logs:
        """Return where what a call writes that was sent: of each stream the file, where it begins, None."""
        return {
            s: (path, size, None) for (s, path), size in zip(self._files.items(), self._sizes, strict=True)
        }

    def last_logs(self) -> Logs:
        """Return where what the last call wrote is: file, begin and end, in bytes, of what is not empty."""
        logs = zip(self._files.items(), self._start_sizes, self._sizes, strict=True)
        return {stream: (path, start, stop) for (stream, path), start, stop in logs if stop > start}

    def close(self) -> int:
        """End it and what it has started; return its exit code, negative where a signal has ended it."""
        try:
            self._socket.shutdown(SHUT_RDWR)
        except OSError:
            pass
        self._thread.join(2)  # an idle worker leaves when its socket closes
        if self._thread.is_alive():
            spawning.terminate([self.pid], grace=0.5)
            self._thread.join()
        self._process.wait()
        try:
            os.killpg(self.pid, 9)
        except OSError:
            pass  # the usual case: nobody is left
        self._stream.close()
        self._socket.close()
        for path in self._files.values():
            with suppress(FileNotFoundError):
                if not path.stat().st_size:
                    path.unlink()
        return int(self._process.returncode)


class PoolWorker(WorkerProcess):
    """A worker whose calls find what they were submitted with, and give large values back in files."""

    def send_call(
        self,
        call: Sequence[Part],
        environment: Mapping[str, str],
        cwd: str | None,
        surroundings: Surroundings,
        value_file: str,
        results: Mapping[str, Any] | None = None,
    ) -> None:
        """Have it make a call, as `send` does; what is large in it is pickled while it is sent.

        Args:
            call: the call, as one pickle, or as what to call and its arguments.
            environment: variables beside those of the surroundings.
            cwd: where to make it.
            surroundings: what it finds.
            value_file: where its value goes, if that is large: then it is a `StoredValue`.
            results: those of other jobs that are arguments: see `anyjob.standalone.runner.Results`.

        Raises:
            Exception: something in it cannot be pickled, now; the process is of no use any more.
        """
        self._value_file = value_file
        self._request(call, environment, cwd, surroundings, results)
