"""What a job is to start after, as users give it: handles, ids and names become rows of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from anyjob.errors import JobNotFoundError, SpecError, UnsupportedSpecError
from anyjob.job import BaseJob
from anyjob.ledger.dependencies import Prerequisite
from anyjob.status import PREREQUISITES

if TYPE_CHECKING:
    from anyjob.ledger.reader import LedgerReader
    from anyjob.taskbackend import TaskBackend

After = tuple[Prerequisite, ...]
NAMES_SOUGHT = 1000
"""Names, the newest, among which the nearest to one that is not known is sought."""


def take(backend: TaskBackend, given: dict[str, Any], count: int) -> list[After]:
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
    if not backend.capabilities.durable:
        raise UnsupportedSpecError(
            f"backend {backend.name()!r} cannot start a job after others: {PREREQUISITES[values[0][0]]}= is "
            "for backends whose jobs outlive this process, such as `local`; or wait for those others first"
        )
    ledger = backend.services.ledger
    if not any(callable(value) for _, value in values):
        shared = tuple(_all(ledger, values))
        return [shared] * count if shared else []
    of_items = (
        [(code, value(index) if callable(value) else value) for code, value in values]
        for index in range(count)
    )
    return [tuple(_all(ledger, some)) for some in of_items]


def _all(ledger: LedgerReader, values: list[tuple[int, Any]]) -> Iterator[Prerequisite]:
    for condition, value in values:
        if value is None:
            continue
        if isinstance(value, (str, BaseJob)):
            value = [value]
        elif not isinstance(value, Iterable):
            raise SpecError(f"{PREREQUISITES[condition]} takes jobs, ids or names, not {value!r}")
        for one in value:
            for job_id in _ids(ledger, PREREQUISITES[condition], one):
                yield Prerequisite(job_id, condition)


def _ids(ledger: LedgerReader, key: str, one: Any) -> list[str]:
    if isinstance(one, str):
        return find(ledger, one)
    if not isinstance(one, BaseJob):
        raise SpecError(f"{key} takes jobs, ids or names, not {one!r}")
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


def find(ledger: LedgerReader, text: str) -> list[str]:
    """Return the ids of the jobs that a text means: all of that name, or the one whose id begins so.

    Raises:
        JobNotFoundError: there is none, or it is the beginning of several ids.
    """
    from anyjob.ledger.designation import meant

    if ledger.exists:
        named = [row.job_id for row in ledger.select(name=text, superseded=False)] if text else []
        found = named or meant(ledger, text)
        if named or len(found) == 1:
            return found
        if found:
            raise JobNotFoundError(
                f"job id {text!r} fits several jobs ({', '.join(found[:5])}): give more of it"
            )
    from anyjob.text.nearest import did_you_mean

    names = ledger.names(NAMES_SOUGHT) if ledger.exists else []
    raise JobNotFoundError(
        f"no job {text!r} to start after: no id or name in the ledger{did_you_mean(text, names)}"
    )
