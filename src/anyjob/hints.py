"""Names for annotations where imports must stay light: each is imported when somebody evaluates it.

Annotations are text (PEP 563), which only `typing.get_type_hints`, `inspect.signature` and the like evaluate.
A module on the path of every start says ``from anyjob import hints as t``, and ``t.Any`` in its annotations.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable as Callable
    from collections.abc import Generator as Generator
    from collections.abc import Iterable as Iterable
    from collections.abc import Iterator as Iterator
    from collections.abc import Mapping as Mapping
    from datetime import datetime as datetime
    from datetime import timedelta as timedelta
    from os import PathLike as PathLike
    from types import TracebackType as TracebackType
    from typing import Any as Any
    from typing import Self as Self

    from anyjob.backend import BaseBackend as BaseBackend
    from anyjob.backend import BaseProvider as BaseProvider
    from anyjob.config.settings import Config as Config
    from anyjob.job import BaseJob as BaseJob
    from anyjob.jobtypes import TaskJob as TaskJob
    from anyjob.ledger.rows import BackendRow as BackendRow
    from anyjob.ledger.store import Ledger as Ledger
    from anyjob.registry.lookup import Registry as Registry
    from anyjob.runtime.services import Services as Services
    from anyjob.session.facade import Session as Session
    from anyjob.specs import Spec as Spec
    from anyjob.specs import T as T
    from anyjob.status import JobStatus as JobStatus
    from anyjob.taskbackend import AnyBackend as AnyBackend
    from anyjob.tracking.waiting import J as J
    from anyjob.tracking.waiting import Waited as Waited

_INTERNAL = {
    "AnyBackend": "anyjob.taskbackend",
    "BackendRow": "anyjob.ledger.rows",
    "Ledger": "anyjob.ledger.store",
    "Services": "anyjob.runtime.services",
    "J": "anyjob.tracking.waiting",
    "T": "anyjob.specs",
    "Waited": "anyjob.tracking.waiting",
}
_ELSEWHERE = ("anyjob", "collections.abc", "typing", "datetime", "os", "types")


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        from importlib import import_module

        for path in (_INTERNAL[name],) if name in _INTERNAL else _ELSEWHERE:
            found = getattr(import_module(path), name, None)
            if found is not None:
                return found
    raise AttributeError(f"module 'anyjob.hints' has no attribute {name!r}")
