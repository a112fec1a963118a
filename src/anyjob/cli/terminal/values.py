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


def parse_pairs(texts: Iterable[str], what: str = "-p", several: str = "give it once") -> dict[str, str]:
    """Return what ``key=value`` texts say.

    Args:
        texts: what the command line has.
        what: the option that takes them, for errors.
        several: what to do where one key was given twice, of which one value would be lost.

    Raises:
        click.UsageError: one has no ``=``, or no key; or two have the same key.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.UsageError(f"{what} takes KEY=VALUE, not {text!r}")
        if key in found:
            raise click.UsageError(f"{what} has {key!r} twice, {found[key]!r} and {value!r}: {several}")
        found[key] = value
    return found


def parse_value(text: str) -> Any:
    """Return a number, boolean, list or table where a text is one as JSON has it; else the text."""
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text
