"""Waits for object refs in a thread of ours, without being inside of Ray meanwhile.

Whoever is inside of Ray when the program disconnects from it, or ends, takes the process down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

CHECK_INTERVAL = 1.0
"""Seconds between two checks whether this process is connected at all."""


class Disconnected(Exception):
    """This process is not connected to a cluster any more, or nobody wants the value."""


def wait_for(ray: Any, ref: Any, is_wanted: Callable[[], bool], timeout: float) -> Any:
    """Return the value of an object ref as soon as it is there.

    Args:
        ray: the module.
        ref: the object ref.
        is_wanted: asked now and then; where it gives False, the wait is over.
        timeout: seconds to wait at most.

    Raises:
        Disconnected: the program has called ``ray.shutdown()``, or the value is not wanted any more.
        TimeoutError: it was not there in time.
        Exception: what Ray raises of it.
    """
    box: SimpleQueue[Any] = SimpleQueue()
    add_done_callback(ref, box.put)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            value = box.get(timeout=CHECK_INTERVAL)
        except Empty:
            if not is_wanted() or not ray.is_initialized():
                raise Disconnected("this process was disconnected from the Ray cluster") from None
            continue
        if isinstance(value, BaseException):
            raise value
        return value
    raise TimeoutError(f"no answer within {timeout:g} s")


def add_done_callback(ref: Any, callback: Callable[[Any], None]) -> None:
    """Have ``callback`` called with the value of an object ref, or the exception, in a thread of Ray's.

    That thread must not be kept. It is what Ray's own ``ref.future()`` is made of, without the future. The
    ref is held until then: Ray ends the process if it comes to one that is not.
    """

    def done(value: Any, _held: Any = ref) -> None:
        callback(value)

    ref._on_completed(done)
