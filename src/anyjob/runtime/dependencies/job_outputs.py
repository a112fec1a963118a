"""Files that other jobs leave, in the work of jobs: what uses one starts after who leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import JobNotFoundError, UnsupportedSpecError
from anyjob.ledger.dependencies import SUCCESS
from anyjob.runtime.dependencies.prerequisites import finder
from anyjob.specs import Command, Spec, outputs_in

if TYPE_CHECKING:
    from anyjob.references import OutputPath
    from anyjob.runtime.dependencies.prerequisites import After


def take_outputs(backend: t.TaskBackend, specs: Sequence[Spec], after: Sequence[After]) -> list[After]:
    """Return what each piece of work starts after, with those whose files commands are given.

    Raises:
        UnsupportedSpecError: the backend does not see these files, or cannot start jobs after those.
    """
    needed: list[After] = []
    for number, spec in enumerate(specs):
        before = after[number] if after else ()
        outputs = outputs_in(spec) if isinstance(spec, Command) else ()
        own = [one for output in outputs for one in prerequisites(backend, output, SUCCESS)]
        needed.append((*before, *own))
    return needed


def prerequisites(backend: t.TaskBackend, output: OutputPath, condition: int) -> list[Any]:
    """Return what is to be waited for of a file that another job leaves: nothing where that is forgotten.

    Raises:
        UnsupportedSpecError: the backend does not see that file, or cannot start jobs after that one.
    """
    if not backend.capabilities.shared_files:
        raise UnsupportedSpecError(
            f"backend {backend.name()!r} shares no files with this program, so its jobs cannot read "
            f"{str(output)!r}, which job {output.called} leaves: wait for that, and give "
            f"File({str(output)!r}), or its content"
        )
    try:
        return list(finder(backend)(condition, output.job or output.job_id))
    except JobNotFoundError:
        return []
