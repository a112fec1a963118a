"""Whether a plugin imports nothing of anyjob's but what is public: its sources are read, and not imported."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from typing import NamedTuple

from anyjob.registry.entry_points import CORE
from anyjob.registry.listing import ListingEntry
from anyjob.testing.diagnosis.findings import Finding
from anyjob.testing.diagnosis.metadata import packages_of

PUBLIC = ("anyjob", "anyjob.sdk", "anyjob.testing", "anyjob.aio")
"""The modules whose names plugins may rely on."""
_NAMES_MODULE = re.compile(r"(anyjob(?:\.\w+)+):[\w.]+")
"""What `anyjob.Call` takes for a function."""


class InternalImport(NamedTuple):
    """An import of something of anyjob's that is not public.

    Args:
        line: of the source, from 1.
        module: that is imported, or that something is imported from.
        names: what is imported from it; none where it is the module itself.
    """

    line: int
    module: str
    names: tuple[str, ...] = ()


def check_sources(line: ListingEntry) -> Iterator[Finding]:
    """Yield the imports in the packages of a distribution that are of anyjob's own modules."""
    if line.distribution == CORE:
        return
    for spec in packages_of(line):
        for path in _files(spec):
            for found in internal_imports(_read(path)):
                message = (
                    f"it imports {found.module}, which is anyjob's own, and moves and changes unannounced"
                )
                yield Finding("internal", message, _hint(found.names), f"{path}:{found.line}")


def internal_imports(source: bytes) -> list[InternalImport]:
    """Return what a module imports of anyjob that is not public, for type checkers and by name, too.

    One that is no Python, or does not speak of anyjob, imports nothing.
    """
    if b"anyjob" not in source:
        return []
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    return sorted({found for node in ast.walk(tree) for found in _in_node(node)})


def _in_node(node: ast.AST) -> Iterator[InternalImport]:
    if isinstance(node, ast.Import):
        yield from (InternalImport(node.lineno, each.name) for each in node.names if _is_internal(each.name))
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
        names = tuple(each.name for each in node.names)
        if node.module in PUBLIC:
            for name in names:
                if name != "*" and not _is_public(node.module, name):
                    yield InternalImport(node.lineno, f"{node.module}.{name}")
        elif _is_internal(node.module):
            yield InternalImport(node.lineno, node.module, names)
    elif isinstance(node, (ast.Call, ast.Subscript)):
        module = _module_named(node)
        if module is not None and _is_internal(module):
            yield InternalImport(node.lineno, module)


def _module_named(node: ast.Call | ast.Subscript) -> str | None:
    """Return the module that something is loaded from by its name as text."""
    value = node.slice if isinstance(node, ast.Subscript) else node.args[0] if node.args else None
    if not (isinstance(value, ast.Constant) and isinstance(value.value, str)):
        return None
    if isinstance(node, ast.Call) and (function := _NAMES_MODULE.fullmatch(value.value)):
        return function[1]
    loaders = (
        ("modules",) if isinstance(node, ast.Subscript) else ("import_module", "__import__", "modules.get")
    )
    called = ast.unparse(node.value if isinstance(node, ast.Subscript) else node.func)
    return value.value if any(f".{called}".endswith(f".{each}") for each in loaders) else None


def _is_internal(module: str) -> bool:
    return module.startswith(f"{CORE}.") and module not in PUBLIC


def _is_public(module: str, name: str) -> bool:
    found = import_module(module)
    if not hasattr(found, "__all__"):  # aio, all of which is public
        return not name.startswith("_") and hasattr(found, name)
    return name in found.__all__ or f"{module}.{name}" in PUBLIC


def _hint(names: Sequence[str]) -> str:
    """Say where what is imported is to be had, as far as it is."""
    public = {name: next((each for each in PUBLIC if _is_public(each, name)), None) for name in names}
    found = [f"{name} from {module}" for name, module in public.items() if module is not None]
    missing = [name for name, module in public.items() if module is None]
    parts = [f"have the authors import {', '.join(found)}"] if found else []
    if missing or not names:
        what = ", ".join(missing) or "it"
        parts.append(f"have them do without {what}, or ask for a public name in an issue of anyjob's")
    return "; ".join(parts)


def _files(spec: ModuleSpec) -> Iterator[str]:
    """Yield the sources of a package, or of a module that is none."""
    if spec.submodule_search_locations is None:
        yield from [spec.origin] if spec.origin else []
        return
    for location in spec.submodule_search_locations:
        for directory, _, names in sorted(os.walk(location)):
            yield from (os.path.join(directory, name) for name in sorted(names) if name.endswith(".py"))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""
