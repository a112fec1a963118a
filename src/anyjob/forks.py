"""What belongs to one process: made anew in a child of a fork.

A fork copies the memory, and of the threads only the one that forks. So in the child a lock that another one
held stays locked, nobody does what a thread was to do, and a connection is the parent's.
"""

from __future__ import annotations

import itertools
import os
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

generation = 0
"""How many forks lie between the process that has imported this and this one."""

_makers: dict[int, Callable[[], Any]] = {}  # each gives what is to be called; None: its object is gone
_numbers = itertools.count()


def in_each_process(make: Callable[[], object]) -> None:
    """Call a function now, and first thing in each process that is forked off this one.

    Args:
        make: makes what belongs to one process: locks, threads, connections. It is called without any other
            thread. A method is called as long as its object is alive, which this does not keep it.
    """
    number = next(_numbers)
    if hasattr(make, "__func__"):
        _makers[number] = weakref.WeakMethod(make, lambda _: _makers.pop(number, None))
    else:
        _makers[number] = lambda: make
    make()


def _in_child() -> None:
    global generation
    generation += 1
    for maker in list(_makers.values()):  # what is made may register what belongs to it
        make = maker()
        if make is not None:
            try:
                make()
            except Exception as error:  # the others are to be called all the same
                from anyjob.reporting import report

                report("%r in a process that was forked off: %s", make, error, level="error", error=error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
