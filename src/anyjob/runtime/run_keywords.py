"""What ``run`` takes beside resources: what a job starts after, whose results it takes, once, a limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import SpecError
from anyjob.specs import Call, Command, Spec, T, outputs_in
from anyjob.status import LIMIT, ONCE, PREREQUISITES

if TYPE_CHECKING:
    from anyjob.references import ResultOf
    from anyjob.runtime.dependencies.prerequisites import After


def take_prerequisites(backend: t.TaskBackend, given: dict[str, Any], count: int) -> Sequence[After]:
    """Take what jobs start after out of the keywords of a ``run``, for each job; nothing where nothing is."""
    if given.keys().isdisjoint(PREREQUISITES):
        return ()
    from anyjob.runtime.dependencies.prerequisites import take

    return take(backend, given, count)


def take_results(
    backend: t.TaskBackend, specs: Sequence[Spec[T]], after: Sequence[After]
) -> tuple[Sequence[Spec[T]], Sequence[After]]:
    """Replace the jobs in the arguments of calls; return the work, and what each of it starts after."""
    if any(isinstance(spec, Command) and outputs_in(spec) for spec in specs):
        from anyjob.runtime.dependencies.job_outputs import take_outputs

        after = take_outputs(backend, specs, after)
    if not any(isinstance(spec, Call) and (spec.args or spec.kwargs) for spec in specs):
        return specs, after
    from anyjob.runtime.dependencies import job_arguments

    return job_arguments.take_results(backend, specs, after)


def results_in(spec: Spec) -> list[ResultOf]:
    """Return the references to the results of other jobs that are among the arguments of a call."""
    if not isinstance(spec, Call) or not (spec.args or spec.kwargs):
        return []
    from anyjob.runtime.dependencies import job_arguments

    return job_arguments.results_in(spec)


def take_once(given: dict[str, Any]) -> Any:
    """Take out of the keywords of a ``run`` by what its work is known; None: it is not to be done once."""
    if given.keys().isdisjoint(ONCE):
        return None
    from anyjob.runtime.once import take

    return take(given)


def take_limit(backend: t.TaskBackend, given: dict[str, Any]) -> None:
    """Take out of the keywords of a ``run`` how many of its name may run at a time, and see to that.

    Raises:
        SpecError: there is no such name.
        UnsupportedSpecError: the backend cannot.
    """
    most = given.pop(LIMIT, None)
    if most is None:
        return
    name = given.get("name")
    if not isinstance(name, str) or not name:
        raise SpecError(f'limit={most!r} is of the jobs of one name: give that, too, as name="fit"')
    backend.limit(name, most)
