"""Records which calls a backend gets, and changes its attributes for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any


class CallRecorder:
    """Stands in front of one of the methods of a backend, inside a ``with``, and records its calls.

    Args:
        backend: whose method it is.
        method: ``launch``, ``observe``, ``terminate``, ``find`` or ``notify``.
        replacement: called with the method itself and its argument, in place of the method.

    Attributes:
        calls: the ids of the jobs that each call was about.
        raised: what the calls raised.
    """

    def __init__(
        self, backend: Any, method: str, replacement: Callable[[Any, Any], Any] | None = None
    ) -> None:
        self.calls: list[list[str]] = []
        self.raised: list[Exception] = []
        self._method = getattr(backend, method)
        self._replacement = replacement
        self._lock = threading.Lock()
        self._changed = AttributesChanged(backend, **{method: self._call})

    def _call(self, items: Sequence[Any]) -> Any:
        items = list(items)
        with self._lock:
            self.calls.append([each if isinstance(each, str) else each.job_id for each in items])
        try:
            if self._replacement is None:
                return self._method(items)
            return self._replacement(self._method, items)
        except Exception as error:
            self.raised.append(error)
            raise

    def count(self, job_id: str) -> int:
        """Return how many of the calls were about this job."""
        with self._lock:
            return sum(job_id in call for call in self.calls)

    def __enter__(self) -> CallRecorder:
        self._changed.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._changed.__exit__()


class AttributesChanged:
    """Changes attributes of one object inside a ``with``, such as ``grace`` of a backend."""

    def __init__(self, target: Any, **attributes: Any) -> None:
        self._target = target
        self._attributes = attributes

    def __enter__(self) -> None:
        self._before = {name: own for name, own in vars(self._target).items() if name in self._attributes}
        for name, value in self._attributes.items():
            setattr(self._target, name, value)

    def __exit__(self, *_: object) -> None:
        for name in self._attributes:
            delattr(self._target, name)
        for name, value in self._before.items():
            setattr(self._target, name, value)
