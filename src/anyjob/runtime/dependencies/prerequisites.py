"""What a job is to start after, as users give it: handles, ids and names become rows of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import JobNotFoundError, SpecError, UnsupportedSpecError
from anyjob.job import BaseJob
from anyjob.ledger.dependencies import CONDITIONS
from anyjob.ledger.rows import Prerequisite
from anyjob.references import STANDS_FOR_RESULT
from anyjob.status import PREREQUISITES

if TYPE_CHECKING:
    from anyjob.ledger.reading.reader import LedgerReader

After = tuple[Prerequisite, ...]
PIPELINE = "pipeline"
"""The tag of jobs that are steps of a job file, with its name."""


def take(backend: t.TaskBackend, given: dict[str, Any], count: int) -> list[After]:
    """Take ``after``, ``after_end`` and ``after_failure`` out of the keywords of a ``run``.

    Args:
        backend: what is to start.
        given: the keywords; what is taken is removed.
        count: how many jobs it is for.

    Returns:
        What each of the jobs starts after; nothing at all where none was given.

    Raises:
        SpecError: something that is no job.
        UnsupportedSpecError: the backend cannot start jobs after others.
        JobNotFoundError: there is no such job, or several have an id that begins so.
    """
    values = [(code, given.pop(key)) for code, key in enumerate(PREREQUISITES) if key in given]
    values = [(code, value) for code, value in values if value is not None]
    if not values:
        return []
    found = finder(backend)
    if not any(callable(value) for _, value in values):
        shared = tuple(_all(found, values))
        return [shared] * count if shared else []
    of_items = (
        [(code, value(index) if callable(value) else value) for code, value in values]
        for index in range(count)
    )
    return [tuple(_all(found, some)) for some in of_items]


Find = Callable[[int, Any], Iterable[Any]]
"""Gives what to keep of jobs that others start after, of the code of a condition and what was given."""


def finder(backend: t.TaskBackend) -> Find:
    """Return what gives, for jobs of this backend, what to keep of those that they start after."""
    return _in_ledger(backend) if backend.capabilities.durable else _in_process(backend)


def _in_ledger(backend: t.TaskBackend) -> Find:
    ledger = backend.services.ledger
    return lambda condition, one: [
        Prerequisite(job_id, condition) for job_id in _ids(ledger, CONDITIONS[condition], one)
    ]


def _in_process(backend: t.TaskBackend) -> Find:
    from anyjob.runtime.dependencies.dependent import Needed

    def find(condition: int, one: Any) -> list[Needed]:
        if isinstance(one, str):
            return [Needed(job, condition) for job in backend.services.jobs_meant(one)]
        if isinstance(one, BaseJob):
            return [Needed(one, condition)]
        raise _no_job(PREREQUISITES[condition], one)

    return find


def _no_job(key: str, one: Any) -> SpecError:
    return SpecError(f"{key} takes jobs, ids or names, not {one!r}")


def _all(find: Find, values: list[tuple[int, Any]]) -> Iterator[Any]:
    for condition, value in values:
        if value is None:
            continue
        if isinstance(value, (str, BaseJob)) or getattr(value, STANDS_FOR_RESULT, False):
            value = [value]
        elif not isinstance(value, Iterable) or isinstance(value, (bytes, Mapping)):
            raise _no_job(PREREQUISITES[condition], value)
        for one in value:
            yield from find(condition, one if isinstance(one, (str, BaseJob)) else _job_of(one))


def _job_of(one: Any) -> Any:
    """Return the job of a future; anything else, and one that no job came of, as it is."""
    job = getattr(one, "job", None) if getattr(one, STANDS_FOR_RESULT, False) else None
    return one if job is None else job


def _ids(ledger: LedgerReader, key: str, one: Any) -> list[str]:
    if isinstance(one, str):
        return find(ledger, one)
    if not isinstance(one, BaseJob):
        raise _no_job(key, one)
    record = getattr(one, "_record", None)
    if record is not None and one.backend().capabilities.durable:
        return [record.job_id]
    entry = one._status_observer
    if record is None and getattr(entry, "entered", False):
        return [entry.job_id]
    raise UnsupportedSpecError(
        f"nothing can start after job {one.job_id()} of backend {one.backend()!s}: it is not in the ledger, "
        "and ends with this process"
    )


def find(ledger: LedgerReader, text: str, purpose: str = " to start after") -> list[str]:
    """Return the ids of the jobs that a text means: all of that name, or the one whose id begins so.

    Args:
        ledger: where they are.
        text: a name, an id, or the beginning of one; or the name of a job file with several steps.
        purpose: what they are wanted for, for the error.

    Raises:
        JobNotFoundError: there is none, or it is the beginning of several ids.
    """
    from anyjob.ledger.reading.designation import NAMES_SOUGHT, meant

    if ledger.exists:
        named = [row.job_id for row in ledger.select(name=text, superseded=False)] if text else []
        if text and not named:
            steps = ledger.select(tags={PIPELINE: text}, superseded=False)
            named = [row.job_id for row in steps]
        found = named or meant(ledger, text)
        if named or len(found) == 1:
            return found
        if found:
            raise JobNotFoundError(
                f"job id {text!r} fits several jobs ({', '.join(found[:5])}): give more of it"
            )
    from anyjob.text.suggestions import did_you_mean

    names = ledger.names(NAMES_SOUGHT) if ledger.exists else []
    known = did_you_mean(text, names) if names else "; no job there has a name"
    raise JobNotFoundError(f"no job {text!r}{purpose}: no id or name in the ledger{known}")
