"""Lists of values in SQL statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

CHUNK = 500
"""Values in one statement: below SQLite's own limit on parameters, in any build of it."""

T = TypeVar("T")


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """Cut a sequence into parts of a size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def placeholders(items: Sequence[Any]) -> str:
    """Return as many parameters as there are items: ``?,?,?``."""
    return ",".join("?" * len(items))
