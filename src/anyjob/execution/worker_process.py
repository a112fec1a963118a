"""A process that makes one call after the other, so that a call need not wait for an interpreter to start."""

from __future__ import annotations

import fcntl
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from socket import SHUT_RDWR, socket, socketpair
from typing import Any

from anyjob.execution import interpreter, runner, spawning
from anyjob.execution.private_files import append_private
from anyjob.specs import Outcome
from anyjob.status import JobStatus

STREAMS = ("stdout", "stderr")
Logs = dict[str, tuple[Path, int, int | None]]
"""Which part of which file each stream is, in bytes: from where, and up to where once that is known."""


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
        # Linux ends the process with the thread that has started it (see `runner.die_with_parent`), so that
        # is one which lives as long: it waits for the end. The end of the process, and not of the stream,
        # tells of its death, since a child of the call may hold our end of the socket open.
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

    def _run(
        self, python: str, theirs: socket, started: SimpleQueue[subprocess.Popen[bytes] | BaseException]
    ) -> None:
        try:
            process = self._start(python, theirs)
        except BaseException as error:
            started.put(error)
            return
        started.put(process)
        try:
            spawning.wait_for_exit(process)  # it is reaped by close(): until then the pid is its own
        except ChildProcessError:
            pass
        try:
            self._socket.shutdown(SHUT_RDWR)
        except OSError:
            pass

    def _file(self, stream: str) -> Path:
        return self._directory / f"worker-{self._number}-{self._calls}.{stream}"

    def _start(self, python: str, theirs: socket) -> subprocess.Popen[bytes]:
        out, err = self._files["stdout"], self._files["stderr"]
        with theirs, append_private(out) as stdout, append_private(err) as stderr:
            return interpreter.spawn_interpreter(
                ["-u", "-P", runner.__file__, "--serve", str(theirs.fileno()), *sys.path],
                python=python,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Return whether its process has not ended."""
        return self._thread.is_alive()

    def fileno(self) -> int:
        """Return the descriptor that its answers come by, for who waits for many."""
        return self._socket.fileno()

    def send(self, payload: bytes, environment: Mapping[str, str], cwd: str | None = None) -> None:
        """Have it make a call. If it has died, `receive` says so.

        Args:
            payload: a pickled tuple: what to call, its positional and its keyword arguments; see `dump_call`.
            environment: variables beside those of the process, for this call.
            cwd: where to make it; by default where the last one has left the process.

        Raises:
            OSError: the files that it is to write to cannot be made.
        """
        self._sent = time.time()
        request = payload, environment, cwd, self._renew_files()
        with suppress(OSError):
            runner.write_frame(self._socket.fileno(), pickle.dumps(request, 5))

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
            answer: dict[str, Any]
            answer, self._start_sizes, self._sizes = pickle.loads(runner.read_frame(self._stream))
        except (OSError, EOFError):
            self._start_sizes = self._sizes
            self._sizes = [path.stat().st_size for path in self._files.values()]
            return None
        return answer

    def died(self) -> Outcome:
        """Close it, and return what came of a call that has ended the process, or was ended with it."""
        outcome = spawning.exit_outcome(self.close(), started=self._sent)
        if outcome.status is JobStatus.DONE:
            outcome.status, outcome.reason = JobStatus.ERROR, "exit-code"
        outcome.message = (
            f"the call ended its process ({outcome.message or 'exit code 0'}) and left no result"
        )
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
        try:
            self._process.wait(2)  # an idle worker leaves when its socket closes
        except subprocess.TimeoutExpired:
            spawning.terminate([self.pid], grace=0.5)
            self._process.wait()
        self._thread.join()
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
