"""An event loop for a thread of ours on which code of others runs that may want one.

Only the main thread of a program has one by itself: a ``status()`` that says
``asyncio.get_event_loop().run_until_complete(…)`` works there, and has to work here.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_own = threading.local()


def with_event_loop(call: Callable[[], T]) -> Callable[[], T]:
    """Return a call that has an event loop on whichever thread of ours it is made."""

    def called() -> T:
        provide()
        return call()

    return called


def provide() -> None:
    """Give this thread an event loop, as long as anything here uses asyncio; `release` closes it."""
    if "asyncio" not in sys.modules:
        return
    import asyncio

    loop: Any = getattr(_own, "loop", None)
    if loop is None or loop.is_closed():
        loop = _own.loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # each time: asyncio.run() takes it away


def release() -> None:
    """Close the event loop that this thread was given, at its end."""
    loop: Any = getattr(_own, "loop", None)
    if loop is not None:
        import asyncio

        asyncio.set_event_loop(None)
        loop.close()
        del _own.loop
