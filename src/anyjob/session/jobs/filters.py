"""What jobs are looked for by, as a caller gives it: checked, and in the words of the ledger."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from anyjob.errors import InvalidStatusError, SpecError
from anyjob.status import JOB_FINAL_STATES, JobStatus, as_status

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}", re.ASCII)
_DAYS = {"today": 0, "yesterday": 1}
OPEN = tuple(status for status in JobStatus if status not in JOB_FINAL_STATES)
GROUPS = {"OPEN": OPEN, "ENDED": JOB_FINAL_STATES, "FAILED": (JobStatus.ERROR,)}
"""States that go by one word."""
STATE_WORDS = (*GROUPS, *JobStatus.__members__)
"""All words for states, in capitals."""


class JobFilters(NamedTuple):
    """What jobs are looked for by; None, or no tags or parameters, for what does not matter."""

    name: str | None
    states: tuple[JobStatus, ...] | None
    backend: str | None
    tags: Mapping[str, str]
    since: float | None
    limit: int | None
    parameters: Mapping[str, Any]


def read_filters(
    name: Any, state: Any, backend: Any, tags: Any, since: Any, limit: Any, parameters: Any
) -> JobFilters:
    """Take what a caller gave: see `anyjob.jobs`.

    Raises:
        SpecError: some of it makes no sense.
    """
    for what, value in (("name", name), ("backend", backend)):
        if not (value is None or isinstance(value, str)):
            raise SpecError(f"{what}: jobs are looked for by its text, not by {value!r}")
    if not (tags is None or isinstance(tags, Mapping)):
        raise SpecError(f'tags are a mapping such as {{"study": "a"}}, not {tags!r}')
    if not (parameters is None or isinstance(parameters, Mapping)):
        raise SpecError(f'parameters are a mapping such as {{"seed": 3}}, not {parameters!r}')
    if not (limit is None or (type(limit) is int and limit >= 0)):
        raise SpecError(f"limit: {limit!r} does not do: it must be a whole number, 0 or more")
    return JobFilters(
        name,
        None if state is None else as_states(state),
        backend,
        {key: str(value) for key, value in (tags or {}).items()},  # as `Resources` keeps them
        as_time(since),
        limit,
        dict(parameters or {}),
    )


def as_states(state: Any) -> tuple[JobStatus, ...]:
    """Take what a caller gave for a state: a status, its name, a word for several, or a list of these.

    Raises:
        SpecError: it is no state.
    """
    found: dict[JobStatus, None] = {}
    for one in [state] if isinstance(state, (str, Enum)) or not isinstance(state, Iterable) else state:
        word = one.upper() if isinstance(one, str) else one
        try:
            found.update(dict.fromkeys(GROUPS[word] if word in GROUPS else (as_status(word),)))
        except (InvalidStatusError, TypeError):
            from anyjob.text.suggestions import did_you_mean

            hint = did_you_mean(word if isinstance(word, str) else "", STATE_WORDS)
            raise SpecError(f"state: {one!r} is no state{hint}") from None
    return tuple(found)


def as_time(since: Any, *, what: str = "since") -> float | None:
    """Take what a caller gave for a time: a datetime, seconds since 1970, or text.

    Text is a day or a time of one (``2026-11-30``, ``2026-11-30 14:00``), by the clock here where it names no
    zone; ``today`` or ``yesterday``, from midnight on; or how long ago: ``2h``.

    Raises:
        SpecError: it is no time.
    """
    if since is None:
        return None
    if isinstance(since, str):
        return _time_of_text(since.strip(), what)
    if isinstance(since, datetime):
        try:
            return since.timestamp()
        except (ValueError, OverflowError, OSError) as error:
            raise SpecError(f"{what}: {since!r} is no time: {error}") from None
    if isinstance(since, timedelta):
        from anyjob.text.units import parse_duration

        return time.time() - parse_duration(since, what=what)
    if not isinstance(since, (int, float)) or math.isnan(since):
        raise SpecError(f'{what}: {since!r} is no time: give a datetime, seconds since 1970, or "2h"')
    return float(since)


def _time_of_text(text: str, what: str) -> float:
    if text.lower() in _DAYS:
        midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return (midnight - timedelta(days=_DAYS[text.lower()])).timestamp()
    if _DATE.match(text):
        try:
            return datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError) as error:
            raise SpecError(f"{what}: {text!r} is no day or time: {error}") from None
    if _MONTH.fullmatch(text):  # to Slurm so many days and hours, of which nobody has thousands
        raise SpecError(f"{what}: {text!r} names no day: write {text}-01")
    from anyjob.text.units import parse_duration

    try:
        return time.time() - parse_duration(text, what=what)
    except SpecError as error:
        raise SpecError(f"{error}; or a day, or a time of one: yesterday, 2026-11-30 14:00") from None
