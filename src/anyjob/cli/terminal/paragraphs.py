"""Text set in the width of a terminal: a label, and what is said of it beside."""

from __future__ import annotations

import sys
import textwrap

from anyjob.cli.terminal.output import console
from anyjob.text.printable import printable

_COLOURS = {
    "error": "bold red",
    "failed": "bold red",
    "warning": "yellow",
    "notice": "yellow",
    "note": "dim",
    "skipped": "dim",
    "ok": "green",
}


def heading(text: str) -> None:
    """Write a line that stands above others, on a terminal."""
    from rich.text import Text

    out = console(sys.stdout)
    out.print()
    out.print(Text(printable(text), style="bold"), soft_wrap=True)


def paragraph(label: str, text: str, *below: str, indent: int = 11) -> None:
    """Write a text behind a label, on a terminal, in its width; and fainter texts below it.

    Args:
        label: what stands before it.
        text: the text.
        below: the fainter texts.
        indent: columns before the texts, enough for all labels.
    """
    from rich.text import Text

    out = console(sys.stdout)
    width = min(out.width, 120)
    out.print(Text(f"  {label:<{indent - 2}}", style=_COLOURS.get(label, "red")), end="")
    for number, each in enumerate((text, *below)):
        lines = [part for line in each.splitlines() for part in _wrapped(line, width - indent)]
        told = f"\n{'':{indent}}".join(lines)
        out.print(
            Text(f"{'':{indent if number else 0}}{told}", style="dim" if number else ""), soft_wrap=True
        )


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(printable(line), width, break_on_hyphens=False, break_long_words=False)
