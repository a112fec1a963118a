"""How far the jobs of a job file are: a progress bar on a terminal, else a line for each job that ends."""

from __future__ import annotations

import sys
import threading
import time

from anyjob.cli.run.sweeps.report import SweepRow
from anyjob.cli.terminal.output import is_terminal, print_message, write_line
from anyjob.progress_display.displays import Display
from anyjob.progress_display.tally import Tally
from anyjob.status import JobStatus
from anyjob.text.printable import printable

TICK = 1.0
"""Seconds between two looks at how long the rest will take, while none ends."""


class Progress:
    """How far the jobs are: a bar on a terminal, else a line for each that ends; both on stderr."""

    def __init__(self, name: str, total: int, backend: str) -> None:
        self._name, self._total, self._backend = name, total, backend
        self._tally = Tally(total, time.monotonic())
        self._bar: Display | None = None
        self._drawn = 0.0
        self._drawing, self._over = threading.Lock(), threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        if is_terminal(sys.stderr):
            from anyjob.progress_display.terminal import TerminalBar

            self._bar = TerminalBar(printable(f"{self._name} on {self._backend}"), sys.stderr)
            self._bar.update(self._tally, self._tally.began)
            self._ticker.start()
        else:
            print_message(
                f"{self._name}: {self._total} job{'' if self._total == 1 else 's'} on {self._backend}"
            )
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._over.set()
            self._ticker.join()
            self._bar.close(self._tally, time.monotonic())

    def _tick(self) -> None:
        while self._bar is not None and not self._over.wait(TICK):
            with self._drawing:
                self._bar.update(self._tally, time.monotonic())

    def ended(self, row: SweepRow, *, before: bool = False) -> None:
        """One job has ended, or was done before: then it has no line of its own."""
        now = time.monotonic()
        status = JobStatus.__members__.get(row.state, JobStatus.DONE)  # a step that was skipped went well
        self._tally.end(status, now, before=before)
        if self._bar is not None:
            if now - self._drawn >= self._bar.interval:  # of thousands, not each is worth a look
                self._drawn = now
                with self._drawing:
                    self._bar.update(self._tally, now)
        elif not before:
            count = str(self._tally.ended).rjust(len(str(self._total)))
            write_line(f"[{count}/{self._total}] {row.state} {row.label()}".rstrip(), sys.stderr)
