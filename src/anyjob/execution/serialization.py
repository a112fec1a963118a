"""Pickles calls and other specs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anyjob.errors import SerializationError
from anyjob.execution import runner
from anyjob.specs import Call, Spec


def dump_call(spec: Call) -> bytes:
    """Pickle what to call, its positional and its keyword arguments: a tuple of three.

    The function goes as the text ``"module:function"`` where it was given as such.

    Raises:
        SerializationError: something in it cannot be pickled; the message names it.
    """
    return dump((spec.fn, spec.args, spec.kwargs), spec)


def dump(value: Any, of: Spec) -> bytes:
    """Pickle a part of a spec.

    Raises:
        SerializationError: it cannot be; the message names what in it.
    """
    try:
        return runner.dumps(value)
    except Exception as error:
        from anyjob.execution.unpicklable import serialization_error

        raise serialization_error(of, error) from error


def with_item_number(error: SerializationError, specs: Sequence[Spec]) -> SerializationError:
    """Return such an error with the number of its spec among these, where it is one of them."""
    for number, spec in enumerate(specs):
        if spec is error.spec:
            return SerializationError(f"item {number}: {error}")
    return error
