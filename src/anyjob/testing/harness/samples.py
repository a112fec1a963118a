"""Work that the kit hands to a backend."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from anyjob.command_result import CommandResult
from anyjob.errors import UnsupportedSpecError
from anyjob.runtime.lowering import find_route
from anyjob.specs import Call, Command
from anyjob.taskbackend import TaskBackend

ANY: Any = object()
"""The value of a sample whose result is not compared."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Work of one kind that a backend takes.

    Args:
        kind: what the reports call it.
        succeeds: work that ends well, soon.
        value: what the result of that is equal to; `ANY`: it is not compared.
        fails: work that ends as ERROR by its own fault; None: there is none.
        reason: the reason that its outcome then has.
        slow: makes work that takes this many seconds; None: there is none.
        echo: makes work whose result holds a text; None: there is none.
        echoed: gets that text out of the result.
    """

    kind: str
    succeeds: Any
    value: Any = ANY
    fails: Any = None
    reason: str = "exit-code"
    slow: Callable[[float], Any] | None = None
    echo: Callable[[str], Any] | None = None
    echoed: Callable[[Any], str] = str


def _stdout_text(result: CommandResult) -> str:
    return os.fsdecode(result.stdout.bytes())


COMMAND = Samples(
    kind="command",
    succeeds=Command(["true"]),
    fails=Command(["sh", "-c", "echo the reason of it >&2; exit 3"]),
    slow=lambda seconds: Command(["sleep", str(seconds)]),
    echo=lambda text: Command(["printf", "%s", text]),
    echoed=_stdout_text,
)
"""Programs that every POSIX system has."""

CALL = Samples(
    kind="python",
    succeeds=Call("operator:add", (19, 23)),
    value=42,
    fails=Call("operator:truediv", (1, 0)),
    reason="exception",
    slow=lambda seconds: Call("time:sleep", (seconds,)),
    echo=lambda text: Call("operator:concat", (text, "")),
)
"""Calls of the standard library: where they run, nothing has to be installed."""


def default_samples(backend: Any) -> list[Samples]:
    """Return samples of what a backend takes: commands and calls, and kinds that bring one of their own.

    Raises:
        AnyjobError: a kind that it takes cannot be loaded.
    """
    if not isinstance(backend, TaskBackend):
        return []
    basic = [samples for samples in (COMMAND, CALL) if can_run(backend, samples.kind)]
    return [*basic, *samples_of_kinds(backend)]


def samples_of_kinds(backend: TaskBackend) -> list[Samples]:
    """Return what kinds beside commands and calls bring to try a backend with that takes them natively.

    Raises:
        AnyjobError: such a kind cannot be loaded.
    """
    kinds = sorted(set(backend.accepts) - {COMMAND.kind, CALL.kind})
    brought = {kind: backend.services.job_type(kind).sample() for kind in kinds}
    return [Samples(kind=kind, succeeds=spec) for kind, spec in brought.items() if spec is not None]


def can_run(backend: Any, kind: str) -> bool:
    """Whether a task backend can be handed work of this kind."""
    try:
        find_route(
            kind,
            backend.accepts,
            backend.services.job_type,
            shared_files=backend.capabilities.shared_files,
        )
    except UnsupportedSpecError:
        return False
    return True
