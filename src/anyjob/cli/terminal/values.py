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
