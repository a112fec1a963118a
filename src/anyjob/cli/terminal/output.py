"""What people and programs are shown: tables, JSON, messages. rich is loaded for terminals only."""

from __future__ import annotations

import os
import sys

from anyjob.text.printable import printable, shortened

LAYOUT = "\n\t"
"""What lays out a text of several lines."""
LONGEST, LONGEST_HEADER = 100, 40
"""Characters of a cell that is cut, and of a header, at most."""
LEAST = 12
"""Columns of a terminal that a cell has, if it needs them, before it is cut or goes on in a second line."""

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
    """Tell a person something beside the output: on stderr. It may have several lines."""
    print(f"anyjob: {printable(text, keep=LAYOUT)}", file=sys.stderr, flush=True)


def write_line(text: str, stream: TextIO | None = None) -> None:
    """Write a line, to stdout unless another stream is given: it stays one line, whatever is in it."""
    print(printable(text), file=stream or sys.stdout)


def write_text(text: str) -> None:
    """Write text of several lines to stdout: into a pipe as it is; on a terminal it moves no cursor."""
    print(printable(text, keep=LAYOUT) if is_terminal(sys.stdout) else text)


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


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    marks: Sequence[str] = (),
    cut: Iterable[str] = (),
) -> None:
    """Write a table to stdout: drawn on a terminal, aligned by blanks in a pipe.

    On a terminal that is too narrow for it, each row is a paragraph: a line for each cell.

    Args:
        columns: the headers.
        rows: the cells; numbers are aligned to the right, None is left empty.
        marks: of a column ``state``, the words that are bad.
        cut: the columns whose cells are cut: to what is left of a terminal's width, to `LONGEST` in a pipe.
    """
    rows = [list(row) for row in rows]
    is_cut = [column in set(cut) for column in columns]
    cells = [
        [
            shortened(_cell(value), LONGEST) if short else _cell(value)
            for value, short in zip(row, is_cut, strict=True)
        ]
        for row in rows
    ]
    columns = [shortened(printable(column), LONGEST_HEADER) for column in columns]
    numeric = [
        bool(rows) and all(row[i] is None or _is_number(row[i]) for row in rows) for i in range(len(columns))
    ]
    if is_terminal(sys.stdout):
        _draw(columns, cells, numeric, marks, is_cut)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in [list(columns), *cells]:
        padded = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        write_line("  ".join(padded).rstrip())


def _draw(
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    marks: Sequence[str],
    is_cut: Sequence[bool],
) -> None:
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    out = console(sys.stdout)
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    least = [min(width, LEAST) for width in widths]
    if sum(least) + 2 * len(columns) > out.width:
        _draw_rows_apart(out, columns, cells, marks)
        return
    free = [width for width, short in zip(widths, is_cut, strict=True) if short]
    share = _share(free, out.width - 2 * len(columns) - sum(widths) + sum(free))
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name, right, short, lowest in zip(columns, numeric, is_cut, least, strict=True):
        shape: dict[str, Any] = (
            {"overflow": "ellipsis", "no_wrap": True, "max_width": share} if short else {"overflow": "fold"}
        )
        drawn.add_column(Text(name), justify="right" if right else "left", min_width=lowest, **shape)
    for row in cells:
        # Text, and not str: what comes from elsewhere must not be taken for markup.
        drawn.add_row(*(Text(text, style=_style(text, marks)) for text in row))
    out.print(drawn)


def _draw_rows_apart(
    out: Console, columns: Sequence[str], cells: Sequence[Sequence[str]], marks: Sequence[str]
) -> None:
    from rich.table import Table
    from rich.text import Text

    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    for number, row in enumerate(cells):
        if number:
            drawn.add_row()
        for name, text in zip(columns, row, strict=True):
            if text:
                drawn.add_row(Text(name, style="bold"), Text(text, style=_style(text, marks)))
    out.print(drawn)


def _share(widths: Sequence[int], left: int) -> int:
    """Return how wide the widest of some columns may be, where the narrower ones have what they need."""
    for index, width in enumerate(sorted(widths)):
        fair = left // (len(widths) - index)
        if width > fair:
            return max(LEAST, fair)
        left -= width
    return max(LEAST, *widths, 0)


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


def count_states(states: Iterable[str]) -> str:
    """Return how many of each there are, in words: ``3 DONE, 1 ERROR``."""
    counts: dict[str, int] = {}
    for state in states:
        counts[state] = counts.get(state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
