"""Text on its way to a terminal: nothing in it moves the cursor, and it is no longer than it may be."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """Return text with what would move a terminal's cursor, or break a line, written out.

    All that comes from a job, a file or an engine goes through here on its way to a terminal.

    Args:
        text: any text, with surrogates too.
        keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else repr(char)[1:-1] for char in text)


def shortened(text: str, longest: int) -> str:
    """Return text of so many characters at most; where some are left out it ends with ``…``."""
    return text if len(text) <= longest else text[: max(0, longest - 1)] + "…"
