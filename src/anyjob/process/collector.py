"""Python's garbage collector, while many objects are made that all stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from anyjob.process.forks import in_children

MANY = 1000
"""Jobs from which on it pays."""
_resting: list[int] = []


@contextmanager
def collector_at_rest(jobs: int, *, durable: bool) -> Iterator[None]:
    """Have the collector rest while so many jobs are made: it would look at all of them again and again.

    Where it does not collect anyway, nothing is done; where another thread sees to it, that does.

    Args:
        jobs: how many.
        durable: whether they are of a backend that is. Another may do the work itself meanwhile, and that may
            make garbage.
    """
    if jobs < MANY or not durable or not gc.isenabled():
        yield
        return
    _resting.append(jobs)
    try:
        gc.disable()  # in here: Ctrl-C may be told as it returns
        yield
    finally:
        gc.enable()
        del _resting[:1]


def _go_on() -> None:
    """Whoever was to do so is not in a process that another thread has forked off meanwhile."""
    if _resting:
        _resting.clear()
        gc.enable()


in_children(_go_on)
