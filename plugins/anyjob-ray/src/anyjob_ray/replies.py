"""Waits for an answer from the cluster in a thread of ours, without being inside of Ray meanwhile.

Whoever is inside of Ray when the program disconnects from it, or ends, takes the process down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

LOOK = 1.0
"""Seconds between two looks at whether this process is connected at all."""


class Disconnected(Exception):
    """This process is not connected to a cluster any more, or nobody wants the answer."""


def answer(ray: Any, ref: Any, wanted: Callable[[], bool], seconds: float) -> Any:
    """Return what a reference stands for, as soon as it is known.

    Args:
        ray: the module.
        ref: the reference.
        wanted: asked now and then; where it gives False, the wait is over.
        seconds: how long to wait at most.

    Raises:
        Disconnected: the program has called ``ray.shutdown()``, or the answer is not wanted any more.
        TimeoutError: there was none in time.
        Exception: what Ray raises of it.
    """
    box: SimpleQueue[Any] = SimpleQueue()
    when_done(ref, box.put)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            found = box.get(timeout=LOOK)
        except Empty:
            if not wanted() or not ray.is_initialized():
                raise Disconnected("this process was disconnected from the Ray cluster") from None
            continue
        if isinstance(found, BaseException):
            raise found
        return found
    raise TimeoutError(f"no answer within {seconds:g} s")


def when_done(ref: Any, call: Callable[[Any], None]) -> None:
    """Have ``call`` called, in a thread of Ray's that must not be kept, with what a reference stands for.

    That is what Ray's own ``ref.future()`` is made of, without the future. The reference is held until then:
    Ray ends the process if it comes to one that is not.
    """

    def done(result: Any, _held: Any = ref) -> None:
        call(result)

    ref._on_completed(done)
