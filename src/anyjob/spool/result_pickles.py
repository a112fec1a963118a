"""Reads pickles of results, and leaves the classes of this program as they are.

A class of a script or a notebook travels by value. cloudpickle knows it again in the answer, and all the same
sets its attributes to those that it had when the call was sent (`findings/cloudpickle-class-state.sh`): what
the program has counted or registered in it since would be gone.
"""

from __future__ import annotations

import io
import pickle
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

_SETTER = "_class_setstate"
_MAKERS = ("_make_skeleton_class", "_make_skeleton_enum")
_in_the_making: weakref.WeakSet[type] = weakref.WeakSet()
"""Classes that a pickle has brought, which may still lack what belongs to them."""


def loads(blob: bytes) -> Any:
    """Unpickle what a job has returned or raised."""
    if _SETTER.encode() not in blob:  # no class goes by value
        return pickle.loads(blob)
    return load(io.BytesIO(blob))


def load(stream: BinaryIO) -> Any:
    """Unpickle what a job has returned, from a file."""
    unpickler = _ResultUnpickler(stream)
    try:
        return unpickler.load()
    finally:
        _in_the_making.difference_update(unpickler.made)


class _ResultUnpickler(pickle.Unpickler):
    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.made: list[type] = []

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        if module != "cloudpickle.cloudpickle":
            return found
        if name in _MAKERS:
            return partial(self._make, found)
        return partial(_set_state, found) if name == _SETTER else found

    def _make(self, make: Callable[..., type], *arguments: Any) -> type:
        """Return the class that is here already, or else a new one, as yet without attributes."""
        from cloudpickle import cloudpickle

        tracker_id = arguments[-2]
        known: type | None = getattr(cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", {}).get(tracker_id)
        if known is not None:
            return known
        made = make(*arguments)
        _in_the_making.add(made)
        self.made.append(made)
        return made


def _set_state(set_state: Callable[[type, Any], type], class_: type, state: Any) -> type:
    return set_state(class_, state) if class_ in _in_the_making else class_
