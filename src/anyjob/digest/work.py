"""The keys of pieces of work: what they are known by that are to be done once."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import msgspec

from anyjob.digest.code import parts_of_class
from anyjob.digest.content import Unstable, digest
from anyjob.errors import SerializationError
from anyjob.specs import Call, Spec, kind_of

_LAYOUT = "anyjob 1"
"""Is to be changed when the same work comes to other keys."""
WAYS_OUT = (
    "give plain data, a path or a File in its place, or have its class say by __getstate__ what it holds"
)


def keys_of(specs: Sequence[Spec], word: str, version: str = "", *, counted: bool = False) -> list[bytes]:
    """Return what each piece of work is known by, as 32 bytes.

    A key is made of the word, the kind of work, each field of the spec that says something, the contents of
    its files, and, of a call, the name and the code of the function.

    Args:
        specs: the work.
        word: what its user calls it.
        version: says what the code of a function does not: that of a program, or of a library.
        counted: have those that are the same get a key each, by their order.

    Raises:
        SerializationError: something in it has no stable digest; the message names it.
        SpecError: a file cannot be read.
    """
    functions: dict[int, bytes] = {}  # of many calls it is the same one
    keys, seen = [], Counter[bytes]()
    for spec in specs:
        key = digest((_LAYOUT, word, version, kind_of(spec), _parts(spec, functions)))
        if counted:
            seen[key] += 1
            key = key if seen[key] == 1 else digest((key, seen[key]))
        keys.append(key)
    return keys


def _parts(spec: Spec, functions: dict[int, bytes]) -> dict[str, bytes]:
    """Return the digests of those fields that say something: one that is added some day changes no key."""
    parts = {}
    for name, default in _defaults(type(spec)).items():
        value = getattr(spec, name)
        if type(value) is type(default) and value == default:
            continue
        try:
            if isinstance(spec, Call) and name == "fn":
                if id(value) not in functions:
                    functions[id(value)] = digest((value, _code_of(value)))
                parts[name] = functions[id(value)]
            else:
                parts[name] = digest(value)
        except Unstable as error:
            raise _refused(spec, name, value, error) from error
    return parts


@functools.cache
def _defaults(spec_type: type[Spec]) -> dict[str, Any]:
    """Return the fields of a spec with their defaults."""
    return {
        field.name: field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        for field in msgspec.structs.fields(spec_type)
    }


def _code_of(fn: Any) -> Any:
    """Return the code that a call runs, where the digest of a value would have but its name."""
    if isinstance(fn, (str, FunctionType, BuiltinFunctionType, MethodType)):
        return None
    return list(parts_of_class(fn if isinstance(fn, type) else type(fn)))


def _refused(spec: Spec, field: str, value: Any, error: Unstable) -> SerializationError:
    """Return the error that names what has no digest."""
    path = error.path or _way_to_what_changes(value)
    if isinstance(spec, Call) and field == "fn":
        what = ", ".join(["the function", *path[1:]])
    elif isinstance(spec, Call) and field in ("args", "kwargs") and path:
        what = f"argument {path[0].strip('[]')}{''.join(path[1:])}"
    else:
        what = f"the field {field!r} of the work{''.join(path)}"
    made = SerializationError(f"{what} has no stable digest, as once= needs it: {error.why}; {WAYS_OUT}")
    made.spec = spec
    return made


def _way_to_what_changes(value: Any) -> list[str]:
    """Return the place of the first of the arguments that is pickled in another way each time."""
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, tuple) else ())
    )
    for place, entry in entries:
        try:
            digest(entry)
        except Unstable as error:
            return [f"[{place!r}]", *error.path]
    return []
