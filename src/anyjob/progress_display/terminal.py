"""A bar on a terminal, drawn by rich."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
from rich.table import Column

from anyjob.progress_display.tally import Tally

BAR = 20
"""Columns of the bar alone."""


def columns() -> list[ProgressColumn]:
    """Return what is in the line; a task has the title as its description, and its ``words``."""
    words = Column(no_wrap=True, overflow="ellipsis")
    return [
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=BAR),
        MofNCompleteColumn(),
        TextColumn("{task.fields[words]}", markup=False, table_column=words),
    ]


class TerminalBar:
    """A bar with the figures behind it, in one line at the bottom of a terminal.

    What the program prints meanwhile goes above it, if it goes to a terminal, too.

    Args:
        title: what is waited for: text that moves no cursor.
        stream: the terminal.
    """

    interval = 0.2

    def __init__(self, title: str, stream: TextIO) -> None:
        self._progress = Progress(
            *columns(),
            console=Console(file=stream, highlight=False),
            auto_refresh=False,
            # What goes elsewhere, into a file say, has to arrive there.
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
            redirect_stderr=True,
        )
        self._width = self._progress.console.width
        self._task = self._progress.add_task(title, total=None, words="")
        self._progress.start()

    def update(self, tally: Tally, now: float) -> None:
        """Draw it."""
        words = "  ".join(tally.words(now))
        self._mind_width()
        self._progress.update(self._task, completed=tally.ended, total=tally.total, words=words, refresh=True)

    def _mind_width(self) -> None:
        """A terminal that has become narrower has broken the line in two: have both erased, not the last."""
        width, before = self._progress.console.width, self._width
        self._width = width
        drawn: Any = getattr(self._progress.live, "_live_render", None)
        shape = getattr(drawn, "_shape", None)
        if 0 < width < before and shape is not None:
            columns, rows = shape
            drawn._shape = columns, rows * -(-columns // width)

    def close(self, tally: Tally, now: float) -> None:
        """Draw it for the last time; it stays."""
        self.update(tally, now)
        self._progress.stop()
