"""The way from a kind of work to what a backend accepts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from itertools import pairwise
from typing import Any

from anyjob.errors import AnyjobError, SpecError, UnsupportedSpecError
from anyjob.execution.submit_directory import submit_directory
from anyjob.specs import Call, Command, File, Spec, anchored, kind_of, taken, with_files


def find_route(
    kind: str, accepts: Collection[str], job_type: Callable[[str], Any], *, shared_files: bool
) -> tuple[str, ...]:
    """Return the kinds from this one to one that is accepted, by the fewest steps.

    Args:
        kind: the kind that there is.
        accepts: the kinds that the backend runs natively.
        job_type: gives the job type of a kind.
        shared_files: whether the backend sees the caller's files; some steps need that.

    Raises:
        UnsupportedSpecError: there is no way; says what is accepted, and where each way ended.
    """
    before: dict[str, str | None] = {kind: None}
    ends: list[str] = []
    queue = deque([kind])
    while queue:
        here = queue.popleft()
        if here in accepts:
            route = [here]
            while (previous := before[route[0]]) is not None:
                route.insert(0, previous)
            return tuple(route)
        try:
            here_type = job_type(here)
        except AnyjobError as error:
            if here == kind:
                raise
            ends.append(f"{before[here]!r} lowers to {here!r}, which cannot be used: {error}")
            continue
        targets = getattr(here_type, "lowers_to", ())
        if not targets:
            ends.append(f"{here!r} lowers to nothing else")
        for target in (targets,) if isinstance(targets, str) else targets:
            if target in getattr(here_type, "needs_shared_files", ()) and not shared_files:
                ends.append(
                    f"{here!r} lowers to {target!r} only where the backend shares files with the caller"
                )
            elif target not in before:
                before[target] = here
                queue.append(target)
    raise UnsupportedSpecError(
        f"no way from work of kind {kind!r} to what is accepted ({', '.join(sorted(accepts)) or 'nothing'}): "
        + "; ".join(ends)
    )


def has_route(kind: str, backend: Any, job_type: Callable[[str], Any]) -> bool:
    """Whether a backend can run work of a kind, as it is or rewritten."""
    accepts, shared_files = getattr(backend, "accepts", ()), backend.capabilities.shared_files
    try:
        find_route(kind, accepts, job_type, shared_files=shared_files)
    except UnsupportedSpecError:
        return False
    return True


def as_it_runs(spec: Spec, content: Callable[[File], File] = taken) -> Spec:
    """Return a spec with the contents of its files, and with paths that mean the same wherever it runs.

    Raises:
        SpecError: a file cannot be read.
    """
    return anchored(with_files(spec, content), submit_directory)


def lower_along(
    spec: Spec,
    route: tuple[str, ...],
    job_type: Callable[[str], Any],
    *,
    shared_files: bool = True,
    content: Callable[[File], File] = taken,
) -> tuple[Spec, ...]:
    """Rewrite a spec step by step; returns it and all that it was rewritten as, the last one native.

    Args:
        spec: the work.
        route: the kinds from its own to the native one.
        job_type: gives the class of a kind.
        shared_files: whether a directory here means something where it runs.
        content: takes the content of a file of a command or a call; other kinds have it in their specs.

    Raises:
        UnsupportedSpecError: a step did not give what its class declares.
        SpecError: a step refuses this spec.
    """
    prepare = as_it_runs if shared_files else with_files

    def prepared(spec: Spec) -> Spec:
        return prepare(spec, content if isinstance(spec, (Command, Call)) else taken)

    specs = [prepared(spec)]
    for here, target in pairwise(route):
        step = job_type(here)
        try:
            lowered = step.lower(specs[-1], target)
        except AnyjobError:
            raise
        except Exception as error:
            raise SpecError(
                f"{step.__name__}.lower() from {here!r} to {target!r} raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(lowered, Spec) or kind_of(lowered) != target:
            raise UnsupportedSpecError(
                f"{step.__name__}.lower() was to give a spec of kind {target!r}, and gave {lowered!r}"
            )
        specs.append(prepared(lowered))
    return tuple(specs)
