"""Ids of jobs: 20 hexadecimal digits, drawn at random."""

from __future__ import annotations

import os
from collections import deque

from anyjob.errors import SpecError
from anyjob.process.forks import in_each_process

SIZE = 10
"""Bytes of an id."""
_STOCK = 256

_ready: deque[str] = deque()
in_each_process(_ready.clear)


def new_id() -> str:
    """Return a new id.

    They are drawn in advance, since each draw gives the interpreter's lock away, which costs a
    multiple of the draw where other threads want it. A fork throws away what was drawn.
    """
    while True:
        try:
            return _ready.popleft()
        except IndexError:
            drawn = os.urandom(SIZE * _STOCK).hex()
            _ready.extend(drawn[start : start + 2 * SIZE] for start in range(0, len(drawn), 2 * SIZE))


def require_id(given: object, named_by: str) -> None:
    """See to it that what a job is looked up by is text.

    Raises:
        SpecError: it is something else.
    """
    if not isinstance(given, str):
        raise SpecError(f"a job is named by {named_by}, which is text, not by {given!r}")
