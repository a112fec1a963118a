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
    help="Write the result to a file, in a form that its kind of work offers. Repeatable.",
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
    """Return a number, boolean, list or table where a text is one as JSON has it; else the text.

    What is more than a float holds is text: ``7e12345`` is the id of a job or a commit, and no infinity.
    """
    import json

    try:
        return json.loads(text, parse_float=_finite, parse_constant=_no_json)
    except ValueError:
        return text


def _finite(text: str) -> float:
    value = float(text)
    return value if abs(value) != float("inf") else _no_json(text)


def _no_json(text: str) -> float:
    raise ValueError(f"{text} is no number that JSON has")
