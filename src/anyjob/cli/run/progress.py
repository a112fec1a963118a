"""How far the jobs of a job file are: a progress bar on a terminal, else a line for each job that ends."""

from __future__ import annotations

import sys
from typing import Any

from anyjob.cli.output import console, is_terminal, print_message, write_line
from anyjob.cli.run.sweep_report import SweepRow
from anyjob.text.printable import printable


class Progress:
    """How far the jobs are: a bar on a terminal, else a line for each that ends; both on stderr."""

    def __init__(self, name: str, total: int, backend: str) -> None:
        self._name, self._total, self._backend = name, total, backend
        self._ended = self._failed = 0
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if is_terminal(sys.stderr):
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=None),
                MofNCompleteColumn(),
                TextColumn("{task.fields[failed]}", style="red"),
                TimeElapsedColumn(),
                console=console(sys.stderr),
                redirect_stdout=False,
                redirect_stderr=False,
                expand=True,
            )
            self._task = self._bar.add_task(
                printable(f"{self._name} on {self._backend}"), total=self._total, failed=""
            )
            self._bar.start()
        else:
            print_message(f"{self._name}: {self._total} jobs on {self._backend}")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def ended(self, row: SweepRow, *, before: bool = False) -> None:
        """One job has ended, or was done before: then it has no line of its own."""
        self._ended += 1
        self._failed += row.state == "ERROR"
        if self._bar is not None:
            failed = f"{self._failed} failed" if self._failed else ""
            self._bar.update(self._task, completed=self._ended, failed=failed)
        elif not before:
            count = str(self._ended).rjust(len(str(self._total)))
            write_line(f"[{count}/{self._total}] {row.state} {row.label()}".rstrip(), sys.stderr)
