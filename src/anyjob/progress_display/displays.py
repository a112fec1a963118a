"""Where progress is shown: a terminal, a notebook, or a log."""

from __future__ import annotations

import os
import sys
from typing import Protocol, TextIO

from anyjob.progress_display.tally import Tally
from anyjob.text.printable import printable, shortened

LONGEST_TITLE = 30
A_MINUTE = 60.0


class Display(Protocol):
    """Shows how far jobs are."""

    interval: float
    """Seconds that lie between two updates, at least; more often nobody looks."""

    def update(self, tally: Tally, now: float) -> None:
        """Show how it is now."""

    def close(self, tally: Tally, now: float) -> None:
        """Show it for the last time, and let go of the place."""


def display(title: str, stream: TextIO | None = None) -> Display:
    """Return what fits to where this process writes: in a notebook a live bar, on a terminal one of rich's,
    else a line a minute; the last two on stderr.
    """
    title = shortened(printable(title), LONGEST_TITLE)
    stream = sys.stderr if stream is None else stream
    if in_notebook():
        from anyjob.progress_display.notebook import NotebookBar

        return NotebookBar(title)
    if is_terminal(stream):
        from anyjob.progress_display.terminal import TerminalBar

        return TerminalBar(title, stream)
    return LogLines(title, stream)


def in_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook; nothing is imported for it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


def is_terminal(stream: TextIO) -> bool:
    """Return whether this stream is a terminal that can do more than print line after line."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
    except (AttributeError, ValueError):  # it is none, or closed
        return False


class LogLines:
    """A line a minute, and one at the end.

    Args:
        title: what is waited for.
        stream: where it is written.
    """

    interval = 1.0

    def __init__(self, title: str, stream: TextIO) -> None:
        self._title, self._stream = title, stream
        self._last: float | None = None

    def update(self, tally: Tally, now: float) -> None:
        """Write a line, where the last one is a minute ago."""
        if self._last is None:
            self._last = tally.began
        if now - self._last >= A_MINUTE:
            self._last = now
            self._write(tally, now)

    def close(self, tally: Tally, now: float) -> None:
        """Write the last line."""
        self._write(tally, now)

    def _write(self, tally: Tally, now: float) -> None:
        words = ", ".join([f"{tally.ended} of {tally.total}", *tally.words(now)])
        try:
            self._stream.write(f"{self._title}: {words}\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # who waits for jobs goes on where nobody reads of it
