"""Names for annotations where imports must stay light: each is imported when somebody evaluates it.

Annotations are text (PEP 563), which only `typing.get_type_hints`, `inspect.signature` and the like evaluate.
Checkers read ``_typing.pyi``. A module on the path of every start says ``from anyjob import _typing as t``,
and ``t.Any`` in its annotations; so does one that names a type from above it, such as that of a job's handle.
"""

from __future__ import annotations

_INTERNAL = {
    "After": "anyjob.runtime.dependencies.prerequisites",
    "AnyBackend": "anyjob.taskbackend",
    "BackendRow": "anyjob.ledger.rows",
    "Beside": "anyjob.runtime.recording.content_store",
    "Context": "anyjob.ledger.encoding",
    "EngineAdapter": "anyjob.runtime.engine_adapter",
    "HookManager": "anyjob.registry.hooks",
    "J": "anyjob.tracking.waits.blocking",
    "JobFuture": "anyjob.future",
    "Ledger": "anyjob.ledger.store",
    "LeftFiles": "anyjob.outputs.left_files",
    "ListingEntry": "anyjob.registry.listing",
    "Lazy": "anyjob.references",
    "ResultOf": "anyjob.references",
    "Offers": "anyjob.session.providers.offers",
    "Row": "anyjob.ledger.rows",
    "Services": "anyjob.runtime.services",
    "Resources": "anyjob.resources",
    "T": "anyjob.specs",
    "Tracker": "anyjob.tracking.tracker",
    "Waited": "anyjob.tracking.waits.blocking",
    "WorkerProcess": "anyjob.builtin.local.keeper.launch.worker_process",
    "ZygoteProcess": "anyjob.builtin.local.keeper.launch.zygote_process",
}
_ELSEWHERE = ("anyjob", "collections.abc", "typing", "datetime", "os", "pathlib", "types", "subprocess")


def overload(function):  # which is run, and need not import typing
    """Say nothing: overloads are for checkers."""
    return function


def __getattr__(name: str) -> object:
    if name.startswith("_"):
        raise AttributeError(f"module 'anyjob._typing' has no attribute {name!r}")
    from importlib import import_module

    if name == "click":
        return import_module(name)
    for path in (_INTERNAL[name],) if name in _INTERNAL else _ELSEWHERE:
        found = getattr(import_module(path), name, None)
        if found is not None:
            return found
    raise AttributeError(f"module 'anyjob._typing' has no attribute {name!r}")
