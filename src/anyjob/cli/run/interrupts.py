"""Signals while jobs run: Ctrl-C cancels, again it leaves at once; SIGHUP, SIGTERM may leave jobs alone."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from anyjob.cli.exit_codes import SIGNALLED
from anyjob.cli.terminal.output import is_terminal, print_message
from anyjob.errors import AnyjobError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LEAVING = (signal.SIGTERM, signal.SIGHUP)
"""Those that end us and not the jobs, where these outlive us: a terminal that went, a `kill`, a shutdown."""
LONGEST_PAUSE = 5.0
"""Seconds between two requests to cancel what no backend has accepted to cancel yet, at most."""
CLEANUP_TIMEOUT = 1.0
"""Seconds that cleaning up may take once there was a second signal."""
_EXIT, _CANCEL = 0, 255  # beside the numbers of signals


class Interrupts:
    """While it is entered, a signal cancels jobs, in a thread of its own, until it is left.

    The thread hears of signals by a pipe that Python's C code writes to. A handler in Python would not
    do: it runs in the main thread only, and not before that returns from what it waits in.

    Args:
        jobs: gives those jobs that are to be cancelled, as they are known by then.
        cancel: asks for jobs to be cancelled; says of each whether that was accepted.
        kill: whether what this process has started is to be killed when it leaves at once.
        outlive: whether the jobs outlive this process: SIGTERM and SIGHUP then end it, and leave them alone.

    Attributes:
        signal: the first signal that there was, if any.
    """

    def __init__(
        self,
        jobs: Callable[[], list[Any]],
        cancel: Callable[[list[Any]], list[bool]],
        *,
        kill: bool,
        outlive: bool = False,
    ) -> None:
        self._jobs, self._cancel, self._kill, self._outlive = jobs, cancel, kill, outlive
        self.signal: int | None = None
        self._handled = 0
        self._before: dict[int, Any] = {}
        self._wakeup = -1

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        if threading.current_thread() is threading.main_thread():
            self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
            for number in SIGNALS:
                # One that is ignored (nohup) stays ignored.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        threading.Thread(target=self._serve, name="anyjob-interrupts", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            signal.set_wakeup_fd(self._wakeup)
        os.write(self._writer, bytes([_EXIT]))

    def cancel(self) -> None:
        """Cancel as a signal does; may be called from any thread."""
        os.write(self._writer, bytes([_CANCEL]))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._handled += 1
        if self._handled > 1:
            sys.exit(SIGNALLED + number)

    def _serve(self) -> None:
        accepted: set[Any] = set()
        pause, requests = None, 0
        while (number := self._next_signal(pause)) != _EXIT:
            if number in SIGNALS:
                if self.signal is not None:
                    self._exit(number)
                if self._outlive and number in LEAVING:
                    self._exit_from_running(number)
                self.signal = number
                if number == signal.SIGINT:
                    print_message("cancelling; Ctrl-C again leaves at once")
            refused = self._cancel_jobs(accepted)
            # Again and again: jobs may still be on their way to the engine, or the engine out of reach.
            pause = 0.05 if pause is None else min(pause * 2, LONGEST_PAUSE)
            requests += 1
            if refused and requests == 4:
                print_message("the backend does not end what runs; waiting for it")
        os.close(self._reader)
        os.close(self._writer)

    def _next_signal(self, pause: float | None) -> int:
        """A signal's number, or one of our own; ``_CANCEL`` also once the pause is over."""
        ready, _, _ = select.select([self._reader], [], [], pause)
        return os.read(self._reader, 1)[0] if ready else _CANCEL

    def _cancel_jobs(self, accepted: set[Any]) -> bool:
        """Cancel those whose cancel was not accepted yet; return whether some are refused."""
        jobs = {job.job_id() or id(job): job for job in self._jobs()}
        pending = [key for key in jobs if key not in accepted]
        try:
            answers = self._cancel([jobs[key] for key in pending]) if pending else []
        except AnyjobError as error:
            print_message(f"not cancelled yet: {error}")
            return False
        accepted.update(key for key, taken in zip(pending, answers, strict=False) if taken)
        return not all(answers)

    def _exit_from_running(self, number: int) -> NoReturn:
        """End this process, and say where its jobs are found again."""
        jobs = self._jobs()
        with suppress(OSError, ValueError):  # the terminal may be what has gone
            if len(jobs) == 1:
                job_id = jobs[0].job_id()
                print_message(
                    f"job {job_id} goes on: `anyjob wait {job_id}` waits for it; or `anyjob cancel {job_id}`"
                )
            elif jobs:
                print_message(
                    f"{len(jobs)} jobs go on: `anyjob jobs` lists them, and the same command waits for them"
                )
            sys.stdout.flush()
        os._exit(SIGNALLED + number)

    def _exit(self, number: int) -> NoReturn:
        if self._kill:
            _kill_children()
        # The main thread is on its way out too, and cleans up; but what is cleaned up could hang.
        threading.Event().wait(CLEANUP_TIMEOUT)
        if is_terminal(sys.stderr):
            os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # a progress bar hides the cursor
        os._exit(SIGNALLED + number)


def _kill_children() -> None:
    import psutil

    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.Error:
            continue
