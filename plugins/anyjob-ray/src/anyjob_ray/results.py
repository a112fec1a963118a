"""Reads what came of a job, as its worker has pickled it; a large value stays in Ray's object store."""

from __future__ import annotations

import pickle
from typing import Any

from anyjob import Outcome, StateError
from anyjob.sdk import LocalValue, outcome_from_report, runner


class ObjectStoreValue(LocalValue):
    """A value that lies in Ray's object store: each look at it is a fresh one, without a copy of its
    large parts, which cannot be written to."""

    __slots__ = ("_blob", "_ref")

    def __init__(self, ref: Any, blob: bytes) -> None:
        self._ref = ref
        self._blob = blob

    @property
    def value(self) -> Any:
        """The value.

        Raises:
            StateError: Ray has lost it.
        """
        import ray

        try:
            parts: Any = ray.get(self._ref)
        except Exception as error:
            raise StateError(f"Ray does not have the result any more: {error}") from error
        return pickle.loads(self._blob, buffers=parts[1:])


def load_outcome(blob: bytes, ref: Any = None) -> tuple[Outcome, tuple[bytes, bytes]]:
    """Return what came of a job, and the ends of what it wrote to stdout and stderr.

    Args:
        blob: what the worker has pickled.
        ref: where the large parts of the value lie, if there are.
    """
    fields: dict[str, Any] = pickle.loads(blob)
    written = fields.pop("written", (b"", b""))
    outcome = outcome_from_report(fields)
    if ref is not None and isinstance(outcome.value, bytes):
        outcome.value = ObjectStoreValue(ref, outcome.value)
    return outcome, written


def dump_value(value: Any) -> Any:
    """Pickle a value that lies in the object store, to be kept elsewhere; any other is left as it is."""
    return runner.dumps(value.value) if isinstance(value, ObjectStoreValue) else value
