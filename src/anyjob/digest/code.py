"""What a function is made of, less what makes no difference to what it does: file, lines, and the like."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

PLAIN = (type(None), bool, int, float, complex, str, bytes)
"""Types of constants of a module that a function is made of, where it names them."""
_EMPTY = "an empty cell"


def parts_of_function(fn: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield all that makes a function what it is, with the name of each part.

    That is its name, its code, its defaults and what it closes over; and of its own module those functions,
    classes and plain constants that its code names. What it uses of other modules is not looked into.
    """
    yield "its name", f"{fn.__module__}:{fn.__qualname__}"
    yield "its code", fn.__code__
    yield "its defaults", fn.__defaults__
    yield "its defaults", fn.__kwdefaults__
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            yield f"its variable {name!r}", cell.cell_contents
        except ValueError:
            yield f"its variable {name!r}", _EMPTY
    for name in sorted(_names(fn.__code__)):
        if name in fn.__globals__ and not name.startswith("__"):
            yield from _part_of_module(fn.__module__, name, fn.__globals__[name])


def parts_of_code(code: CodeType) -> Iterator[tuple[str, Any]]:
    """Yield what the code of a function does, with that of functions inside of it among its constants."""
    yield "code", code.co_code
    yield "constants", code.co_consts
    yield "names", (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    yield "arguments", (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    yield "handlers", code.co_exceptiontable


def _part_of_module(module: str, name: str, value: Any) -> Iterator[tuple[str, Any]]:
    place = f"its global {name!r}"
    if type(value) in PLAIN:
        yield place, (name, value)
    elif isinstance(value, FunctionType):
        if value.__module__ == module:
            yield place, value
    elif isinstance(value, type) and value.__module__ == module:
        for attribute, part in parts_of_class(value):
            yield f"{place}.{attribute}", (name, attribute, part)


def parts_of_class(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the methods of a class and its plain constants, by name; not those of its bases."""
    for name, value in sorted(vars(cls).items()):
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        if isinstance(value, FunctionType) or (type(value) in PLAIN and not name.startswith("__")):
            yield name, value


def _names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names
