"""What is found out about one entry point by importing it: runs in a process of its own, which it may end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from anyjob.errors import PluginError
from anyjob.registry import importing
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
from anyjob.testing.diagnosis.hooks import check_hooks, location_of_error, registered_names

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
    brings = _third_party_packages(modules, reference.source)
    if loaded is not None:
        findings += _inspect(reference, loaded)
    broken = [each for each in findings if each.check in ("import", "hook")]
    if group == PLUGINS and not broken:
        findings += _check_registered(reference)
        brings = _third_party_packages(set(sys.modules) - before, reference.source)
    findings += _check_costs(reference, brings, spent, threading.active_count() - threads)
    return {
        "state": "broken" if broken else "ok",
        "why": "; ".join(each.message for each in broken),
        "seconds": seconds,
        "modules": len(modules),
        "brings": brings,
        "findings": [each.to_dict() for each in findings],
    }


def _inspect(reference: Reference, loaded: Any) -> list[Finding]:
    try:
        if reference.group == PLUGINS:
            return list(check_hooks(reference, loaded))
        return list(check_class(reference.group, reference.name, loaded))
    except Exception as error:  # a class may answer in any way when its attributes are asked for
        message = f"{reference.value} cannot be looked at: {type(error).__name__}: {error}"
        return [Finding("declaration", message, "have the authors mend it", _location(error, reference))]


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
        return importing.load(reference), []
    except PluginError as error:
        hint = (
            f"mend what it imports; or do without it: pip uninstall {reference.distribution}, "
            f"or ANYJOB_DISABLE_PLUGINS={reference.distribution}"
        )
        return None, [Finding("import", str(error), hint, _location(error.__cause__, reference))]


def _location(error: BaseException | None, reference: Reference) -> str:
    try:
        return location_of_error(error, reference.module)
    except ValueError:  # the entry point is no module:attribute
        return f"{reference.location}/entry_points.txt"


def _check_registered(reference: Reference) -> Iterator[Finding]:
    names, findings = registered_names(reference)
    yield from findings
    for group, name, found in names:
        for each in check_class(group, name, found):
            each.message = f"{name!r}, registered by a hook: {each.message}"
            yield each


def _check_costs(reference: Reference, brings: list[str], spent: float, threads: int) -> Iterator[Finding]:
    where = reference.value.partition(":")[0]
    if brings and reference.group == PLUGINS:
        message = f"a listing, and the first job of every program, imports {', '.join(brings)} for its hooks"
        yield Finding(
            "heavy", message, "have the authors import that inside the functions that use it", where
        )
    elif brings and reference.distribution != CORE:
        message = f"it imports {', '.join(brings)}, wherever {reference.name!r} is named"
        yield Finding(
            "brings", message, "the authors may import that inside the functions that use it", where
        )
    if spent >= SLOW:
        message = f"its import took {spent:.1f} s of processor time"
        yield Finding("slow", message, "have the authors import inside the functions that use it", where)
    if threads > 0:
        message = f"its import started {threads} thread{'s' * (threads > 1)}"
        yield Finding("threads", message, "have the authors start them when a backend is used", where)


def _third_party_packages(modules: Iterable[str], source: Source) -> list[str]:
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
