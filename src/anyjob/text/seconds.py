"""Takes what a caller gave for a number of seconds: any kind of number that there is."""

from __future__ import annotations

from anyjob import _typing as t

LONGEST = 1e9
"""Seconds that are as good as for ever, and that every clock and lock can count."""


def seconds(value: t.Any, what: str) -> float:
    """Return a number of seconds as a float, at most `LONGEST`.

    Args:
        value: an int, float, Decimal, Fraction, a scalar of numpy…; infinity, too.
        what: the name of the argument, for errors.

    Raises:
        TypeError: this is no number.
        ValueError: it is not a number: ``nan``.
    """
    if not (hasattr(type(value), "__float__") or hasattr(type(value), "__index__")):
        raise TypeError(f"{what} is a number of seconds, not {value!r} of type {type(value).__name__}")
    number = float(value)
    if number != number:
        raise ValueError(f"{what} is a number of seconds, not {value!r}")
    return min(number, LONGEST)


def timeout_of(value: t.Any) -> float | None:
    """Return how many seconds a wait may take; None where it may take for ever.

    Raises:
        TypeError: this is no number.
        ValueError: it is not a number: ``nan``.
    """
    if value is None:
        return None
    number = seconds(value, "timeout")
    return None if number >= LONGEST else number
