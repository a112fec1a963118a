"""Tables of HTML for notebooks: nothing in a cell is markup, and no table is longer than it may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from anyjob.text.markup import escaped
from anyjob.text.printable import shortened

LONGEST = 120
"""Characters of a cell."""
MOST_ROWS = 100
_COLOURS = {"DONE": "#2e9e5b", "ERROR": "#d64545", "CANCELLED": "#808792", "RUNNING": "#2f74d0"}
_LEFT = "text-align:left;white-space:nowrap"
T = TypeVar("T")


def card(fields: Mapping[str, Any]) -> str:
    """Return a table of two columns: what there is, and what it is; what is empty is left out."""
    rows = "".join(
        f'<tr><th style="{_LEFT}">{escaped(name)}</th>{_cell(value)}</tr>'
        for name, value in fields.items()
        if value not in (None, "")
    )
    return f"<table>{rows}</table>"


def listing(things: Sequence[T], fields: Callable[[T], Mapping[str, Any]], what: str) -> str:
    """Return a table with a row for each of some things, as many as may be, and how many there are.

    Args:
        things: what is listed.
        fields: returns what is known of one, by the name of the column.
        what: what they are called.
    """
    shown = [fields(thing) for thing in islice(things, MOST_ROWS)]
    columns = list(
        dict.fromkeys(name for row in shown for name, value in row.items() if value not in (None, ""))
    )
    head = "".join(f'<th style="{_LEFT}">{escaped(name)}</th>' for name in columns)
    rows = "".join(f"<tr>{''.join(_cell(row.get(name)) for name in columns)}</tr>" for row in shown)
    more = f"; the first {len(shown)} are shown" if len(things) > len(shown) else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if shown else ""
    return f"<div>{table}<small>{len(things)} {escaped(what)}{more}{_counts(shown, things)}</small></div>"


def _counts(shown: Iterable[Mapping[str, Any]], things: Sequence[Any]) -> str:
    states: dict[str, int] = {}
    for row in shown:
        if "state" in row:
            states[row["state"]] = states.get(row["state"], 0) + 1
    told = ", ".join(f"{count} {escaped(state)}" for state, count in sorted(states.items()))
    return f": {told}" if told and len(things) <= MOST_ROWS else ""


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    colour = f";color:{_COLOURS[text]}" if text in _COLOURS else ""
    return f'<td style="{_LEFT}{colour}">{escaped(shortened(text, LONGEST))}</td>'
