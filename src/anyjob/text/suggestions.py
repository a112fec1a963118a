"""The name that somebody probably meant, for errors about unknown ones."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MANY = 12
"""Names that an error still lists, all of them."""


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most like a word; None where none is like it.

    Args:
        word: the unknown name.
        known: the names that there are.
        cutoff: how alike they must be, from 0 to 1.
    """
    import difflib

    return next(iter(difflib.get_close_matches(word, list(known), 1, cutoff)), None)


def few(word: str, known: Iterable[str]) -> str:
    """Return the known names for an error; where they are many, the five that are most like a word."""
    names = sorted(known)
    if len(names) <= MANY:
        return ", ".join(map(_in_a_list, names))
    import difflib

    near = difflib.get_close_matches(word, names, 5, 0)
    return f"{', '.join(map(_in_a_list, near))} and {len(names) - len(near):,} more"


def _in_a_list(name: str) -> str:
    """Return a name as it is where it stands out in a list; else in quotes."""
    return name if name.isprintable() and name and ", " not in name else repr(name)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of an error: the name nearest to a wrong one, or else those that there are."""
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f"; did you mean {near!r}?"
    return f"; there are: {few(word, names)}" if names else "; there are none"
