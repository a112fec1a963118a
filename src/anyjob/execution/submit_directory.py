"""The directory that work is submitted from: where programs run and relative paths begin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_other: ContextVar[str | None] = ContextVar("anyjob_submit_directory", default=None)


def submit_directory() -> str | None:
    """Return the directory that work is submitted from: programs run there, and relative paths begin there.

    Returns:
        the working directory, or the one that a rerun is submitted from; None where the working directory is
        there no more.
    """
    other = _other.get()
    if other is not None:
        return other
    try:
        return os.getcwd()
    except OSError:
        return None


@contextmanager
def submitting_from(directory: str) -> Iterator[None]:
    """Have this thread submit from another directory, without changing into it: other threads have theirs."""
    token = _other.set(directory)
    try:
        yield
    finally:
        _other.reset(token)
