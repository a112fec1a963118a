"""Short, harmless jobs that show whether a backend works."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from anyjob.cli.surroundings import notices
from anyjob.errors import AnyjobError, JobTimeoutError, UnsupportedSpecError
from anyjob.lowering import find_route
from anyjob.outputs import CommandResult
from anyjob.session import Session
from anyjob.specs import Call, Command, Spec, kind_of
from anyjob.taskbackend import TaskBackend

WORD = "anyjob-was-here"


def check_backend(session: Session, name: str, timeout: float) -> list[dict[str, str]]:
    """Make a backend and run what it can of our two jobs; never raises for what is wrong with it.

    Args:
        session: where it is configured.
        name: the backend.
        timeout: seconds for each job.

    Returns:
        for each check what was checked, its state (``ok``, ``notice``, ``failed``, ``skipped``), and words.
    """
    return list(_checks(session, name, timeout))


def _checks(session: Session, name: str, timeout: float) -> Iterator[dict[str, str]]:
    try:
        backend = session.get_backend(name)
        status = backend.status()
    except Exception as error:
        yield _line("configuration", "failed", _told(error))
        return
    version = f", version {backend.version()}" if backend.version() else ""
    yield _line("configuration", "ok", f"{type(backend).__name__}{version}")
    if not getattr(status, "operational", True):
        yield _line("status", "failed", str(getattr(status, "status_msg", "")) or "not operational")
    if not isinstance(backend, TaskBackend):
        yield _line("jobs", "skipped", f"{type(backend).__name__} takes work of its own kind only")
        return
    if backend.queues_in_ledger:
        for notice in notices(backend.host.ledger.state):
            yield _line("surroundings", "notice", notice)
    work: list[tuple[Spec, Callable[[Any], str]]] = [
        (Command(["echo", WORD]), lambda value: _echoed(backend, value)),
        (
            Call("operator:add", (19, 23)),
            lambda value: "" if value == 42 else f"19 + 23 came back as {value!r}",
        ),
    ]
    ran = False
    for spec, judge in work:
        kind = kind_of(spec)
        try:
            shared = backend.capabilities.shared_files
            find_route(kind, backend.accepts, session.registry.job_type, shared_files=shared)
        except UnsupportedSpecError as error:
            yield _line(kind, "skipped", str(error))
            continue
        ran = True
        yield _run(backend, spec, judge, timeout)
    if not ran:
        yield _line(
            "jobs", "skipped", f"it accepts {', '.join(sorted(backend.accepts))}: run one of your own"
        )


def _run(backend: Any, spec: Spec, judge: Callable[[Any], str], timeout: float) -> dict[str, str]:
    kind = kind_of(spec)
    started = time.monotonic()
    try:
        job = backend.run(spec, name="anyjob backends check")
        try:
            value = job.result(timeout)
        except JobTimeoutError:
            state = job.metadata()["status"]
            job.cancel()
            return _line(kind, "failed", f"still {state} after {timeout:g} s; it was cancelled")
        wrong = judge(value)
    except Exception as error:
        return _line(kind, "failed", _told(error))
    return _line(kind, "failed" if wrong else "ok", wrong or f"in {time.monotonic() - started:.2f} s")


def _echoed(backend: Any, value: CommandResult) -> str:
    if not backend.capabilities.logs:
        return ""
    written = value.stdout.text()
    return "" if written == f"{WORD}\n" else f"`echo {WORD}` came back as {written[:200]!r}"


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, AnyjobError) else f"{type(error).__name__}: {error}"


def _line(check: str, state: str, told: str) -> dict[str, str]:
    return {"check": check, "state": state, "told": told}
