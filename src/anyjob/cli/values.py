"""Values from the texts of a command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

write_option = click.option(
    "--write",
    "writes",
    multiple=True,
    metavar="WHAT=PATH",
    help="Write a file of the result, one of those that its kind of work makes. Repeatable.",
)


def parse_pairs(texts: Iterable[str], what: str = "-p") -> dict[str, str]:
    """Return what ``key=value`` texts say.

    Raises:
        click.UsageError: one has no ``=``, or no key.
    """
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.UsageError(f"{what} takes KEY=VALUE, not {text!r}")
        found[key] = value
    return found


def parse_value(text: str) -> Any:
    """Return a number, boolean, list or table where a text is one as JSON has it; else the text."""
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def size(count: int) -> str:
    """Return a number of bytes for a person: ``812 B``, ``3.1 MiB``."""
    number, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{count} B" if unit == "B" else f"{number:.1f} {unit}"


def money(cost: float, currency: str) -> str:
    """Return a cost for a person: ``0.35 USD``. Four digits count, and all before the point."""
    number = f"{cost:.4g}" if abs(cost) < 1000 else f"{cost:.2f}".rstrip("0").rstrip(".")
    return f"{number} {currency}".rstrip()
