"""What a job writes, passed on byte for byte while it runs; a line of state while it writes nothing."""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from anyjob.cli import exit_codes
from anyjob.cli.terminal.output import console, is_terminal, leave_pipe, print_error
from anyjob.errors import BackendUnavailableError, JobTimeoutError
from anyjob.job import BaseJob
from anyjob.status import JobStatus, backoff
from anyjob.text.full_disk import explain
from anyjob.text.printable import printable

KEPT = 64 * 1024
"""Bytes of the end of stderr that are kept, so that a traceback in it need not be shown twice."""


class StatusLine:
    """A line on a terminal's stderr that says where a job is; nothing elsewhere."""

    def __init__(self) -> None:
        self._progress: Any = None
        self._task: Any = None
        self._stopped = not is_terminal(sys.stderr)
        self._lock = threading.Lock()

    def show(self, text: str) -> None:
        """Show this text, with the time since the first one."""
        with self._lock:
            if self._stopped:
                return
            if self._progress is None:
                self._start()
            self._progress.update(self._task, description=printable(text))

    def _start(self) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
        columns = SpinnerColumn(), text, TimeElapsedColumn()
        self._progress = Progress(
            *columns,
            console=console(sys.stderr),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=None)
        self._progress.start()

    def stop(self) -> None:
        """Take the line away, for good."""
        with self._lock:
            self._stopped = True
            if self._progress is not None:
                self._progress.stop()
                self._progress = None


class OutputForwarder:
    """Passes what a job writes on to our own streams, in a thread for each.

    Args:
        line: to be taken away before the first byte goes to a terminal.
        broken: called when nobody reads a stream any more.
        targets: where each stream goes.
        attempt: with which attempt of the job to begin; by default, the one that is under way.
    """

    def __init__(
        self,
        line: StatusLine,
        broken: Callable[[], None],
        targets: dict[str, TextIO],
        attempt: int | None = None,
    ) -> None:
        self._line = line
        self._broken = broken
        self._targets = targets
        self._attempt = attempt
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.is_broken = False
        self.problem: Exception | None = None
        self.open_line = False
        self.last_errors = b""

    def start(self, job: Any) -> None:
        """Begin to pass on; may be called again, to no effect."""
        with self._lock:
            if self._threads:
                return
            for stream, target in self._targets.items():
                thread = threading.Thread(target=self._forward, args=(job, stream, target), daemon=True)
                self._threads.append(thread)
                thread.start()

    def finish(self) -> None:
        """Wait until all of it is passed on, of a job that has ended."""
        for thread in self._threads:
            thread.join()

    def exit_code(self) -> int:
        """Return the exit code that its failure asks for, which is told; `OK` where there was none."""
        if self.is_broken:
            leave_pipe()
            return exit_codes.BROKEN_PIPE
        if self.problem is not None:
            problem = self.problem
            why = explain(problem) if isinstance(problem, OSError) else str(problem)
            print_error(f"what the job writes cannot be passed on: {why}")
            return exit_codes.FAILED
        return exit_codes.OK

    def write(self, target: TextIO, data: bytes) -> None:
        """Pass on some bytes, and see to it that they are out."""
        if is_terminal(target):
            self._line.stop()
        target.flush()
        _write_all(target, data)
        if target is sys.stderr and data:
            self.open_line = not data.endswith(b"\n")
            self.last_errors = (self.last_errors + data)[-KEPT:]

    def _forward(self, job: Any, stream: str, target: TextIO) -> None:
        try:
            for chunk in follow_log(job, stream, self._attempt):
                self.write(target, chunk)
        except OSError as error:
            if error.errno == errno.EPIPE:
                self.is_broken = True
            else:
                self.problem = error
            self._broken()
        except Exception as error:  # of a plugin's logs(): told by who waits for this thread
            self.problem = error


def _write_all(target: TextIO, data: bytes) -> None:
    try:
        descriptor = target.fileno()
    except OSError:  # no file behind it, as in tests
        target.buffer.write(data)
        return
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # whoever shares the pipe with us has made it so
            select.select([], [descriptor], [])


def follow_log(job: Any, stream: str, attempt: int | None = None) -> Iterator[bytes]:
    """Yield what a job writes until it has ended, however often its backend is out of reach meanwhile.

    Args:
        job: whose stream it is.
        stream: ``stdout`` or ``stderr``.
        attempt: with which attempt to begin; by default, the one that is under way.
    """
    passed = failures = 0
    while True:
        at = 0
        try:
            for chunk in job.log_bytes(stream, follow=True, attempt=attempt):
                at += len(chunk)
                if at > passed:
                    yield chunk[len(chunk) - (at - passed) :]
                    passed, failures = at, 0
            return
        except BackendUnavailableError:
            failures += 1
            time.sleep(backoff(failures, ceiling=30))


def wait_with_status(job: BaseJob, line: StatusLine, what: str) -> None:
    """Wait until a job has ended, and show on a terminal where it is meanwhile."""

    def show_status(job_id: str, status: JobStatus, _: Any) -> None:
        line.show(f"{what}: {_described(job, status)}")

    try:
        job.wait_for_final_state(timeout=0.3)  # what is soon done needs no line
    except JobTimeoutError:
        from anyjob.cli.jobs.queueing import explained_wait

        if is_terminal(sys.stderr):
            job.wait_for_final_state(wait=1, callback=show_status)
        else:
            with explained_wait([job]):
                job.wait_for_final_state()


def _described(job: BaseJob, status: JobStatus) -> str:
    """Return where a job is: its status, its place in the queue, and what it waits for."""
    known = job.metadata() if hasattr(job, "metadata") else {}
    position, message = known.get("queue_position"), known.get("message")
    place = f" (position {position})" if position is not None else ""
    return f"{status.value}{place}" + (f": {message}" if message else "")
