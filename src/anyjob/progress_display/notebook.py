"""A live bar in a notebook: HTML that is replaced; no widgets, and so nothing to be installed or trusted."""

from __future__ import annotations

from typing import Any

from anyjob.progress_display.tally import Tally
from anyjob.text.markup import escaped


class NotebookBar:
    """A bar with the figures behind it, in the output of the cell.

    Args:
        title: what is waited for.
    """

    interval = 0.5

    def __init__(self, title: str) -> None:
        self._title = title
        self._handle: Any = None

    def update(self, tally: Tally, now: float) -> None:
        """Show it, in place of what was shown before."""
        from importlib import import_module

        ipython: Any = import_module("IPython.display")
        shown = ipython.HTML(bar(self._title, tally, now))
        if self._handle is None:
            self._handle = ipython.display(shown, display_id=True)
        else:
            self._handle.update(shown)

    def close(self, tally: Tally, now: float) -> None:
        """Show it for the last time."""
        self.update(tally, now)


def bar(title: str, tally: Tally, now: float) -> str:
    """Return a bar as HTML."""
    words = ", ".join(tally.words(now))
    return (
        f'<div><code>{escaped(title)}</code> <progress value="{tally.ended}" max="{max(1, tally.total)}">'
        f"</progress> {tally.ended}/{tally.total} <span>{escaped(words)}</span></div>"
    )
