"""The digest of a value by what it holds: not by where it lies, nor by the order of dictionaries and sets.

A pickle will not do: it tells whether two equal texts are one object, and sets in the order of their hashes.
"""

from __future__ import annotations

import copyreg
import hashlib
import math
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from anyjob.digest.code import parts_of_code, parts_of_function
from anyjob.errors import SerializationError
from anyjob.job import BaseJob
from anyjob.specs import File

_NEVER = 1 << 60


class Unstable(SerializationError):
    """A value has no digest that another process would come to; ``path`` is the way to it, outermost first.

    Args:
        why: what about it.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        self.path: list[str] = []


def digest(value: Any) -> bytes:
    """Return 32 bytes that are the same for whatever has the same content.

    What has types of its own is taken by how it is pickled; functions by their code, as `anyjob.digest.code`
    has it; files by what is in them, jobs by their ids.

    Raises:
        Unstable: it has no such digest: it cannot be pickled, or its pickle is another one each time.
        SpecError: it holds a `File` that cannot be read.
    """
    first = _Digester()
    try:
        found = first.of(value)
        if first.asked_objects and _Digester().of(value) != found:
            raise Unstable("it is pickled in another way each time")
    except RecursionError:
        raise Unstable("it is nested too deeply") from None
    return found


class _Digester:
    """Goes through one value.

    What is met inside of itself is told by how far up that is. The digest of any other is kept: a value may
    hold the same object in very many places.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, bytes]] = {}  # with the object: its id is its own while it lives
        self._above: dict[int, int] = {}
        self._reached = _NEVER
        self.asked_objects = False

    def of(self, value: Any) -> bytes:
        """Return the digest of a value."""
        kind = type(value)
        plain = _PLAIN.get(kind)
        if plain is not None:
            return _hash(kind.__name__, plain(value))
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        depth = len(self._above)
        above = self._above.get(id(value))
        if above is not None:
            self._reached = min(self._reached, above)
            return _hash("above", b"%d" % (depth - above))
        reached, self._reached = self._reached, _NEVER
        self._above[id(value)] = depth
        try:
            found = self._of_parts(value, kind)
        finally:
            del self._above[id(value)]
        if self._reached >= depth:  # it refers to nothing that it is part of
            self._known[id(value)] = value, found
            self._reached = _NEVER
        self._reached = min(self._reached, reached)
        return found

    def _of_parts(self, value: Any, kind: type) -> bytes:
        if kind in (list, tuple):
            return _hash(kind.__name__, *self._items(enumerate(value)))
        if kind is dict:
            pairs = (self.of(key) + self._item(f"[{key!r:.40}]", item) for key, item in value.items())
            return _hash("dict", *sorted(pairs))
        if isinstance(value, (set, frozenset)):
            state = self._state(getattr(value, "__dict__", None))
            return _hash("set", _name_of(kind), state, *sorted(map(self.of, value)))
        if kind is FunctionType:
            return _hash("function", *self._named(parts_of_function(value)))
        if kind is CodeType:
            return _hash("code", *self._named(parts_of_code(value)))
        if kind is MethodType:
            return _hash("method", self.of(value.__func__), self._item(".__self__", value.__self__))
        if kind is BuiltinFunctionType:
            owner = getattr(value, "__self__", None)
            of = b"" if owner is None or isinstance(owner, ModuleType) else self.of(owner)
            return _hash("builtin", _name_of(value), of)
        if isinstance(value, type):
            return _hash("type", _name_of(value))
        if isinstance(value, ModuleType):
            return _hash("module", value.__name__.encode())
        if isinstance(value, File) and value.left_by is not None:
            return _hash("output", self.of(value.left_by))
        if isinstance(value, File):
            content = value.taken().content or b""
            return _hash("file", bytes.fromhex(value.sha256) or hashlib.sha256(content).digest())
        if isinstance(value, BaseJob):
            return _hash("job", value.job_id().encode())
        return self._of_array(value) or self._of_object(value, kind)

    def _of_array(self, value: Any) -> bytes | None:
        """NumPy's arrays: the same content may lie in another order, or be part of a larger one."""
        numpy = sys.modules.get("numpy")
        if numpy is None or type(value) is not numpy.ndarray:
            return None
        shape = repr((value.dtype.str, value.dtype.descr, value.shape)).encode()
        if value.dtype.hasobject:
            return _hash("array", shape, *self._items(enumerate(value.ravel().tolist())))
        if value.dtype.names:  # between the fields may be bytes that mean nothing
            return _hash("array", shape, *(self.of(value[name]) for name in value.dtype.names))
        return _hash(
            "array", shape, memoryview(numpy.ascontiguousarray(value)).cast("B") if value.size else b""
        )

    def _of_object(self, value: Any, kind: type) -> bytes:
        self.asked_objects = True
        reduce = copyreg.dispatch_table.get(kind)
        try:
            told = reduce(value) if reduce is not None else value.__reduce_ex__(4)
        except Exception as error:
            raise Unstable(f"{kind.__qualname__} cannot be pickled: {error}") from error
        if isinstance(told, str):
            return _hash("global", _name_of(value), self._item("", getattr(value, "__wrapped__", None)))
        call, arguments, state, items, pairs = (*told, None, None, None)[:5]
        name = getattr(call, "__name__", "")
        if name in ("__newobj__", "__newobj_ex__"):
            arguments = (_name_of(kind), *arguments[1:])
        made = self._item("", (_name_of(call), arguments))
        listed = () if items is None else self._items(enumerate(items))
        entered = (
            []
            if pairs is None
            else [self.of(key) + self._item(f"[{key!r:.40}]", item) for key, item in pairs]
        )
        if not isinstance(value, OrderedDict):
            entered.sort()
        return _hash("object", _name_of(kind), made, self._state(state), *listed, b"", *entered)

    def _state(self, state: Any) -> bytes:
        if isinstance(state, dict):
            pairs = (self.of(key) + self._item(f".{key}", item) for key, item in state.items())
            return _hash("dict", *sorted(pairs))
        return self._item("", state)

    def _items(self, items: Iterable[tuple[Any, Any]]) -> list[bytes]:
        return [self._item(f"[{place}]", item) for place, item in items]

    def _named(self, parts: Iterable[tuple[str, Any]]) -> list[bytes]:
        return [self._item(name, part) for name, part in parts]

    def _item(self, place: str, item: Any) -> bytes:
        try:
            return self.of(item)
        except Unstable as error:
            if place:
                error.path.insert(0, place)
            raise


def _float(value: float) -> bytes:
    return b"nan" if math.isnan(value) else value.hex().encode()


_PLAIN: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda value: b"",
    type(Ellipsis): lambda value: b"",
    type(NotImplemented): lambda value: b"",
    bool: lambda value: b"%d" % value,
    int: lambda value: b"%x" % value,
    float: _float,
    complex: lambda value: _float(value.real) + b" " + _float(value.imag),
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: lambda value: value,
    bytearray: bytes,
}


def _hash(kind: str, *parts: bytes | memoryview) -> bytes:
    """Hash parts such that no others come to the same: each with its length."""
    made = hashlib.sha256(kind.encode())
    for part in parts:
        size = part.nbytes if isinstance(part, memoryview) else len(part)
        made.update(b"|%d|" % size)
        made.update(part)
    return made.digest()


def _name_of(thing: Any) -> bytes:
    module = getattr(thing, "__module__", None) or ""
    return f"{module}:{getattr(thing, '__qualname__', type(thing).__qualname__)}".encode(
        "utf-8", "surrogatepass"
    )
