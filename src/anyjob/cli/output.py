"""What people and programs are shown: tables, JSON, messages. rich is loaded for terminals only."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, TextIO

    from rich.console import Console


def is_terminal(stream: TextIO) -> bool:
    """Return whether this stream is a terminal that can do more than print line after line."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
    except ValueError:  # it is closed
        return False


def console(stream: TextIO) -> Console:
    """Return rich's console for a terminal; it respects ``NO_COLOR`` by itself."""
    from rich.console import Console

    return Console(file=stream, highlight=False, soft_wrap=False)


def print_message(text: str) -> None:
    """Tell a person something beside the output: on stderr."""
    print(f"anyjob: {text}", file=sys.stderr, flush=True)


def print_error(text: str) -> None:
    """Tell of an error, on stderr."""
    print_message(f"error: {text}")


def leave_pipe() -> None:
    """Have what is still in Python's buffers go nowhere: nobody reads it."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # no file behind it, as in tests


def write_json(value: Any, stream: TextIO | None = None) -> None:
    """Write a value as JSON; what JSON cannot hold as text."""
    import json

    # What went into arguments as bytes that are no UTF-8 comes as surrogates: ASCII escapes keep them.
    print(json.dumps(value, indent=2 if stream is None else None, default=_plain), file=stream or sys.stdout)


def _plain(value: Any) -> Any:
    try:
        import msgspec

        return msgspec.to_builtins(value)
    except (TypeError, ValueError):
        return str(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, marks: Sequence[str] = ()) -> None:
    """Write a table to stdout: drawn on a terminal, aligned by blanks in a pipe.

    Args:
        columns: the headers.
        rows: the cells; numbers are aligned to the right, None is left empty.
        marks: of a column ``state``, the words that are bad.
    """
    rows = [list(row) for row in rows]
    cells = [[_cell(value) for value in row] for row in rows]
    numeric = [
        bool(rows) and all(row[i] is None or _is_number(row[i]) for row in rows) for i in range(len(columns))
    ]
    if is_terminal(sys.stdout):
        _draw(columns, cells, numeric, marks)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in [list(columns), *cells]:
        padded = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        print("  ".join(padded).rstrip())


def _draw(
    columns: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool], marks: Sequence[str]
) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, right in zip(columns, numeric, strict=True):
        drawn.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in cells:
        # Text, and not str: what comes from elsewhere must not be taken for markup.
        drawn.add_row(*(Text(text, style=_style(text, marks)) for text in row))
    console(sys.stdout).print(drawn)


def _style(text: str, marks: Sequence[str]) -> str:
    if text in marks:
        return "red"
    return "green" if text in ("DONE", "ok") else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return printable(value)
    import json

    return printable(json.dumps(value, default=str))


def printable(text: str) -> str:
    """Return text with what would move a terminal's cursor, or break a line, written out."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def count_states(states: Iterable[str]) -> str:
    """Return how many of each there are, in words: ``3 DONE, 1 ERROR``."""
    counts: dict[str, int] = {}
    for state in states:
        counts[state] = counts.get(state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
