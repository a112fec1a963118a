"""What is found out about one entry point by importing it: runs in a process of its own, which it may end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from anyjob.errors import PluginError
from anyjob.registry.discovery import Scan
from anyjob.registry.entry_points import (
    BACKENDS,
    COMMANDS,
    CORE,
    JOB_TYPES,
    PLUGINS,
    PROVIDERS,
    Reference,
    split_value,
)
from anyjob.registry.lookup import Registry
from anyjob.registry.metadata import Source
from anyjob.testing.diagnosis.classes import check_class
from anyjob.testing.diagnosis.findings import Finding
from anyjob.testing.diagnosis.hooks import check_hooks, place_of_error, registered

SLOW = 1.0
"""Seconds of processor time that an import may take before it is called slow."""

_OF_ANYJOB = {"anyjob", "click", "cloudpickle", "importlib_metadata", "markdown_it", "mdurl", "msgspec"} | {
    "platformdirs", "pluggy", "psutil", "pygments", "rich", "typing_extensions", "zipp"
}  # fmt: skip
"""The packages that anyjob itself brings along."""


def examine(group: str, name: str, distribution: str) -> dict[str, Any]:
    """Import what an entry point names, and look at it.

    Returns:
        ``state`` (``ok`` or ``broken``) and ``why``; ``seconds`` of the import; how many ``modules`` it
        imported, and the packages of others among them (``brings``); and the ``findings``.
    """
    reference = next(each for each in Scan(sys.path).find(group, name) if each.distribution == distribution)
    before, threads = set(sys.modules), threading.active_count()
    started, spent = time.perf_counter(), time.process_time()
    loaded, findings = _load(reference)
    seconds, spent = time.perf_counter() - started, time.process_time() - spent
    modules = set(sys.modules) - before
    brings = _of_others(modules, reference.source)
    if loaded is not None:
        findings += _looked_at(reference, loaded)
    broken = [each for each in findings if each.check in ("import", "hook")]
    if group == PLUGINS and not broken:
        findings += _by_hook(reference)
        brings = _of_others(set(sys.modules) - before, reference.source)
    findings += _costs(reference, brings, spent, threading.active_count() - threads)
    return {
        "state": "broken" if broken else "ok",
        "why": "; ".join(each.what for each in broken),
        "seconds": seconds,
        "modules": len(modules),
        "brings": brings,
        "findings": [each.to_dict() for each in findings],
    }


def _looked_at(reference: Reference, loaded: Any) -> list[Finding]:
    try:
        if reference.group == PLUGINS:
            return list(check_hooks(reference, loaded))
        return list(check_class(reference.group, reference.name, loaded))
    except Exception as error:  # a class may answer in any way when its attributes are asked for
        what = f"{reference.value} cannot be looked at: {type(error).__name__}: {error}"
        return [Finding("declaration", what, "have the authors mend it", _place(error, reference))]


def _load(reference: Reference) -> tuple[Any, list[Finding]]:
    registry = Registry()
    load: dict[str, Any] = {
        BACKENDS: registry.backend,
        JOB_TYPES: registry.job_type,
        PROVIDERS: registry.provider,
        COMMANDS: registry.command,
    }
    try:
        if reference.group in load:
            return load[reference.group](f"{reference.distribution}:{reference.name}"), []
        return reference.load(), []
    except PluginError as error:
        way_out = (
            f"mend what it imports; or do without it: pip uninstall {reference.distribution}, "
            f"or ANYJOB_DISABLE_PLUGINS={reference.distribution}"
        )
        return None, [Finding("import", str(error), way_out, _place(error.__cause__, reference))]


def _place(error: BaseException | None, reference: Reference) -> str:
    try:
        return place_of_error(error, reference.module)
    except ValueError:  # the entry point is no module:attribute
        return f"{reference.location}/entry_points.txt"


def _by_hook(reference: Reference) -> Iterator[Finding]:
    names, findings = registered(reference)
    yield from findings
    for group, name, found in names:
        for each in check_class(group, name, found):
            each.what = f"{name!r}, registered by a hook: {each.what}"
            yield each


def _costs(reference: Reference, brings: list[str], spent: float, threads: int) -> Iterator[Finding]:
    where = reference.value.partition(":")[0]
    if brings and reference.group == PLUGINS:
        what = f"a listing, and the first job of every program, imports {', '.join(brings)} for its hooks"
        yield Finding("heavy", what, "have the authors import that inside the functions that use it", where)
    elif brings and reference.distribution != CORE:
        what = f"it imports {', '.join(brings)}, wherever {reference.name!r} is named"
        yield Finding("brings", what, "the authors may import that inside the functions that use it", where)
    if spent >= SLOW:
        what = f"its import took {spent:.1f} s of processor time"
        yield Finding("slow", what, "have the authors import inside the functions that use it", where)
    if threads > 0:
        what = f"its import started {threads} thread{'s' * (threads > 1)}"
        yield Finding("threads", what, "have the authors start them when a backend is used", where)


def _of_others(modules: Iterable[str], source: Source) -> list[str]:
    """The packages among modules that are neither Python's, nor anyjob's, nor of this distribution."""
    tops = {name.partition(".")[0] for name in modules if not name.startswith("_")}
    return sorted(tops - sys.stdlib_module_names - _OF_ANYJOB - _own_packages(source))


def _own_packages(source: Source) -> set[str]:
    """The packages that a distribution brings: those of its entry points, and those that it has installed."""
    own = set()
    for _, _, value in source.entries():
        try:
            own.add(split_value(value)[0].partition(".")[0])
        except ValueError:
            continue
    for line in (source.read("RECORD") or "").splitlines():
        own.add(line.partition(",")[0].partition("/")[0].removesuffix(".py"))
    return own
