"""What jobs call in the tests of work that is to be done once."""

from __future__ import annotations

import os


def append(path: str, item: int) -> int:
    """Note that it has run."""
    with open(path, "a") as stream:
        stream.write("x\n")
    return item * 10


def large(count: int) -> bytes:
    """Return so many bytes."""
    return os.urandom(count)
