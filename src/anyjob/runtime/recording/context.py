"""What jobs run in that this process submits: directory, import path, environment, interpreter."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from anyjob.errors import JobError
from anyjob.execution.parent_job import parent_job
from anyjob.execution.submit_directory import submit_directory
from anyjob.ledger.encoding import Context, encode_resources
from anyjob.ledger.identity import HOST
from anyjob.resources import Resources
from anyjob.specs import Spec


def current_context(
    route: tuple[str, ...], resources: Resources, environment: str = "", python: str = ""
) -> Context:
    """Return what jobs run in that this process submits now.

    Args:
        route: the kinds that the spec goes through.
        resources: what the jobs ask for.
        environment: the file that their environment is in.
        python: the interpreter that was configured for calls, which finds what is installed for it.

    Raises:
        ConfigError: they are calls, and this process knows no interpreter.
    """
    cwd = submit_directory() or ""
    here = () if python else tuple(entry or cwd for entry in sys.path if entry or cwd)
    if not python and environment and route[-1] == "python":
        from anyjob.execution.interpreter import find_interpreter

        python = find_interpreter()
    return Context(
        route,
        encode_resources(resources),
        cwd=os.fsencode(cwd),
        environment=environment,
        python=python or sys.executable or "",
        path=here,
        parent=parent_job(),
    )


def to_be_found_again(context: Context, state: Path) -> Context:
    """Return a context that tells more: what it takes to hand these jobs over as this process does."""
    from anyjob.ledger.releasing.submitters import keep_environment

    kept = keep_environment(state)
    return msgspec.structs.replace(context, environment=kept, host=HOST)


def check_own_directory(spec: Spec) -> None:
    """Make sure that work runs in a directory that it names itself, there being no other.

    Raises:
        JobError: it does not.
    """
    if not os.path.isabs(getattr(spec, "cwd", None) or ""):
        raise JobError(
            "the working directory of this process was removed: change into another one, and submit there; "
            "or have the work name a whole path as its own (cwd=)"
        )
