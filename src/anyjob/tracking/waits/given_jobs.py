"""Jobs as a caller gives them, where many are taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

J = TypeVar("J")


def jobs_in(jobs: Iterable[J]) -> list[J]:
    """Return the jobs that were given, in their order.

    Raises:
        TypeError: it is a job alone, or there is something else among them.
    """
    given: Any = jobs
    if _is_job(given):
        raise TypeError("jobs are taken as a list: give [job] for a single one")
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"jobs are taken as a list, not {given!r}; get_job(id) gives the one of an id")
    found = list(given)
    for each in found:
        if not _is_job(each):
            raise TypeError(f"{each!r} is no job: get_job(id) gives the one of an id or a name")
    return found


def _is_job(given: Any) -> bool:
    return hasattr(given, "job_id") and hasattr(given, "_on_final")
