"""Values in a few words, whatever they are: bounded in time and length, without code of theirs."""

from __future__ import annotations

import reprlib
from enum import Enum
from itertools import islice
from numbers import Number
from types import BuiltinFunctionType, FunctionType

from anyjob.text.printable import printable, shortened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

LONGEST = 200
"""Characters of the text that says what a job is."""
_SMALL = 1 << 32
_FUNCTIONS = frozenset({FunctionType, BuiltinFunctionType})
_SAFE = frozenset({"NoneType", "bool", "float", "complex", "range", "slice", "ellipsis"})
_SAFE_MODULES = frozenset({"datetime", "decimal", "fractions", "uuid", "ipaddress", "zoneinfo"})


def brief(value: object) -> str:
    """Return a value in a few words, as Python writes it where it is small and plain.

    Of others it is the type, with its shape or its fields where it has such: the ``repr`` of a user's class
    may take long, or ask a database.
    """
    if type(value) is int and -_SMALL < value < _SMALL:
        return str(value)  # as most are, of which there may be 100,000
    if type(value) in _FUNCTIONS:
        return value.__qualname__  # type: ignore[attr-defined, no-any-return]
    return _BRIEF.repr(value)


def in_a_line(describe: Callable[[Any], object], spec: object) -> str:
    """Return in a line, cut to a length, what a piece of work does; a plugin's ``describe`` may fail."""
    try:
        return shortened(printable(str(describe(spec))), LONGEST)
    except Exception:  # of a user's class: its description may do as it likes
        return ""


def arguments(args: Iterable[object], kwargs: Mapping[str, object] = {}) -> str:
    """Return the arguments of a call, each in a few words."""
    given = [*map(brief, islice(args, 20))]
    if kwargs:
        given += [f"{key}={brief(value)}" for key, value in islice(kwargs.items(), 20)]
    return ", ".join(given)


class _Brief(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 3, 60, 60, 40
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = 5
        self.fillvalue = "…"

    def repr_instance(self, x: Any, level: int) -> str:
        cls = type(x)
        name = cls.__name__
        if isinstance(x, (bytes, bytearray)):
            return repr(bytes(x[: self.maxother])) + ("…" if len(x) > self.maxother else "")
        if (cls.__module__ == "builtins" and name in _SAFE) or cls.__module__ in _SAFE_MODULES:
            return shortened(repr(x), self.maxother)
        if cls.__module__ == "pathlib" or cls.__module__.startswith("pathlib."):
            return self.repr_str(str(x), level)
        if isinstance(x, Enum):
            return f"{name}.{x.name}"
        if isinstance(x, Number):  # numpy's, say
            return shortened(str(x), self.maxother)
        if isinstance(getattr(x, "__qualname__", None), str):  # a function or a class
            return str(x.__qualname__)
        if cls.__module__ == "anyjob.references":
            return repr(x)
        shape = getattr(x, "shape", None) if hasattr(cls, "shape") else None
        if isinstance(shape, tuple):
            return f"<{name} {'x'.join(map(str, shape))}>"
        fields = getattr(cls, "__dataclass_fields__", None) or getattr(cls, "__struct_fields__", None)
        if fields and level > 0:
            some = [f"{key}={self.repr1(getattr(x, key, None), level - 1)}" for key in islice(fields, 5)]
            return f"{name}({', '.join(some)}{', …' if len(fields) > 5 else ''})"
        return f"<{name}>"


_BRIEF = _Brief()
