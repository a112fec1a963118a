"""Pickles calls and other specs."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from anyjob.errors import SerializationError
from anyjob.specs import Call, Spec
from anyjob.standalone import runner


class PickledCall(Call, frozen=True, tag="python"):
    """A call that has come pickled from another machine, and is handed on so: nothing of it is imported here.

    Args:
        pickled: what `dump_call` has made of it there.
        text: what it is, in a line.
    """

    pickled: bytes = b""
    text: str = ""

    @classmethod
    def of(cls, pickled: bytes, text: str, env: dict[str, str]) -> PickledCall:
        """Return the call that is pickled so; whoever does not know of this class makes it all the same."""
        return cls(_Unpickled(pickled), env=env, pickled=pickled, text=text)

    def in_directory(self, cwd: str) -> Call:
        """Return it as a call that is made in a directory of its own: that one is unpickled here.

        Raises:
            SpecError: it cannot be.
        """
        try:
            fn, args, kwargs = pickle.loads(self.pickled)
            call: Call = Call(fn, args, kwargs, self.env, cwd)
            return call
        except Exception as error:
            from anyjob.errors import SpecError, in_words

            raise SpecError(f"the call {self.text} cannot be unpickled: {in_words(error)}") from error


class _Unpickled:
    """Makes a call that is unpickled only then."""

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled

    def __call__(self) -> Any:
        fn, args, kwargs = pickle.loads(self._pickled)
        return runner.resolve(fn)(*args, **kwargs)


def dump_call(spec: Call) -> bytes:
    """Pickle what to call, its positional and its keyword arguments: a tuple of three.

    The function goes as the text ``"module:function"`` where it was given as such.

    Raises:
        SerializationError: something in it cannot be pickled; the message names it.
    """
    if isinstance(spec, PickledCall):
        return spec.pickled
    return dump((spec.fn, spec.args, spec.kwargs), spec)


def dump(value: Any, of: Spec) -> bytes:
    """Pickle a part of a spec.

    Raises:
        SerializationError: it cannot be; the message names what in it.
    """
    try:
        return runner.dumps(value)
    except Exception as error:
        from anyjob.serialization.unpicklable import serialization_error

        raise serialization_error(of, error) from error


def with_item_number(error: SerializationError, specs: Sequence[Spec]) -> SerializationError:
    """Return such an error with the number of its spec among these, where it is one of them."""
    for number, spec in enumerate(specs):
        if spec is error.spec:
            return SerializationError(f"item {number}: {error}")
    return error
