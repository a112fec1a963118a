"""What a pickle names: the modules that have to be there where it is read, and whether it has code in it."""

from __future__ import annotations

import pickletools
import sys
from collections.abc import Iterable
from typing import NamedTuple

_TEXT = frozenset(("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"))
_BY_VALUE = "cloudpickle"
_SUBIMPORT = ["cloudpickle.cloudpickle", "subimport"]
_IMPORT = "\0import"
"""Stands for what has a module imported whose name comes next."""


class Named(NamedTuple):
    """What a pickle names.

    Args:
        modules: what has to be imported to read it, without the standard library and without anyjob.
        by_value: whether it holds functions or classes themselves, and not only their names.
    """

    modules: tuple[str, ...]
    by_value: bool


def names_in(pickled: bytes) -> Named:
    """Return what a pickle names. Nothing of it is imported or called."""
    modules: dict[str, None] = {}
    texts: list[str] = []  # the last two that were pushed
    memo: dict[int, str | None] = {}  # of what was remembered, the texts, and `_IMPORT`
    last: str | None = None  # what was pushed last, if that is one of these
    for opcode, argument, _ in pickletools.genops(pickled):
        name, before, last = opcode.name, last, None
        if name == "MEMOIZE":
            memo[len(memo)] = last = before
            continue
        if name in _TEXT:
            last = str(argument)
        elif name in ("BINGET", "LONG_BINGET"):
            last = memo.get(int(argument or 0))
        elif name == "STACK_GLOBAL" and len(texts) == 2:
            modules[texts[0]] = None
            last = _IMPORT if texts == _SUBIMPORT else None
        elif name == "GLOBAL":
            modules[str(argument).partition(" ")[0]] = None
        if last is not None and last != _IMPORT:
            if before == _IMPORT:
                modules[last] = None
            texts = [*texts[-1:], last]
    return Named(_to_be_installed(modules), any(_top(module) == _BY_VALUE for module in modules))


def modules_of(function: object) -> tuple[str, ...]:
    """Return what has to be imported to call what is named ``"module:function"``, as `Named` has it."""
    return _to_be_installed([function.partition(":")[0]]) if isinstance(function, str) else ()


def _to_be_installed(modules: Iterable[str]) -> tuple[str, ...]:
    skipped = {"__main__", "anyjob", "builtins", "", *sys.stdlib_module_names}
    return tuple(top for top in dict.fromkeys(map(_top, modules)) if top not in skipped)


def _top(module: str) -> str:
    return module.partition(".")[0]


def version_here() -> str:
    """Return this interpreter's version, as far as code depends on it: ``3.11``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
