"""What belongs to one process: made anew in a child of a fork.

A fork copies the memory, and of the threads only the one that forks. So in the child a lock that another one
held stays locked, nobody does what a thread was to do, and a connection is the parent's.
"""

from __future__ import annotations

import itertools
import os
import weakref

from anyjob import _typing as t

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

generation = 0
"""How many forks lie between the process that has imported this and this one."""

_calls: dict[
    int, tuple[weakref.ref[Any] | None, Callable[..., object]]
] = {}  # whose method, and the function
_numbers = itertools.count()


def in_each_process(make: t.Callable[[], object]) -> None:
    """Call a function now, and first thing in each process that is forked off this one; see `in_children`.

    Args:
        make: makes what belongs to one process: locks, threads, connections.
    """
    in_children(make)
    make()


def in_children(call: t.Callable[[], object]) -> None:
    """Call a function first thing in each process that is forked off this one, while there is one thread.

    Args:
        call: lets go of what is the parent's. A method is called as long as its object is alive, which this
            does not keep it.
    """
    number = next(_numbers)
    function: Callable[..., object] | None = getattr(call, "__func__", None)
    if function is None:
        _calls[number] = None, call
    else:
        forget = _calls.pop  # by name, it is gone when the program ends
        _calls[number] = weakref.ref(call.__self__, lambda _: forget(number, None)), function  # type: ignore[attr-defined]


def only_here(call: Callable[[], object]) -> Callable[[], object]:
    """Return a function that makes a call, but not in a process that is forked off this one.

    It is for what is done when something is collected, or when the program ends.
    """
    made_in = generation
    return lambda: call() if generation == made_in else None


def _in_child() -> None:
    global generation
    generation += 1
    for owner, function in list(_calls.values()):  # what is called may register what it makes
        of = () if owner is None else (owner(),)
        if of != (None,):
            try:
                function(*of)
            except Exception as error:  # the others are to be called all the same
                from anyjob.process.reporting import report

                report("%r in a process that was forked off: %s", function, error, level="error", error=error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
