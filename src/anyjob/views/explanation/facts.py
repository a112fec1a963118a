"""What is known of a job that is explained, and what an explanation is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from anyjob.views.queries import NOTHING_ALIKE, Alike


class Other(NamedTuple):
    """Another job that has to do with this one, for how many seconds it runs, and what it takes."""

    job_id: str
    name: str = ""
    state: str = ""
    seconds: float | None = None
    takes: Mapping[str, float] = {}


class Explanation(NamedTuple):
    """Why a job is where it is.

    Args:
        headline: the same in a line.
        why: more of it, a line each.
        ways_out: what can be done about it, a line each.
    """

    headline: str
    why: tuple[str, ...] = ()
    ways_out: tuple[str, ...] = ()


LIMIT = "limit:"


def limit_of(label: str) -> str:
    """Return under what it is counted how many jobs with a label run, beside what a backend has."""
    return f"{LIMIT}{label}"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a job.

    Args:
        found: what `anyjob show --json` tells of it.
        now: when it was asked, in seconds since 1970.
        due: in how many seconds its next attempt starts, where one has failed and it goes again.
        attempts: how many attempts its policy has in all; None without one.
        before: what came of the attempts before this one, a line each.
        is_released: whether it has all that it starts after, and its engine has not been given it yet.
        is_held: whether it waits for its release.
        is_paused: whether its processes stand still.
        is_cancelling: whether a cancel of it was accepted, and it has not ended.
        elsewhere: the host that alone runs it and tells of it; empty where this one does.
        waits_for: the jobs that have to end before it may start.
        running: the jobs of its backend that run.
        there: how much its backend has for all its jobs, by name, as far as that is known.
        takes: how much of that this job takes.
        room: of one that waits with large files: the bytes that they take, and those that are free.
        told_there: what the machine says that has the job, where it is another one.
        alike: how others like it have fared of late.
        cause: the first of the jobs of whose end it has failed.
    """

    found: Mapping[str, Any]
    now: float
    due: float | None = None
    attempts: int | None = None
    before: tuple[str, ...] = ()
    is_released: bool = False
    is_held: bool = False
    is_paused: bool = False
    is_cancelling: bool = False
    elsewhere: str = ""
    waits_for: tuple[Other, ...] = ()
    running: tuple[Other, ...] = ()
    there: Mapping[str, float] = field(default_factory=dict)
    takes: Mapping[str, float] = field(default_factory=dict)
    room: tuple[int, int] = (0, 0)
    told_there: Explanation | None = None
    alike: Alike = NOTHING_ALIKE
    cause: Other | None = None

    @property
    def short(self) -> str:
        """Enough of its id for a command that a person types."""
        return str(self.found["job_id"])[:8]

    def seconds(self, start: str, end: str = "") -> float | None:
        """Return how many seconds lie between two of its times; without the second one, until now."""
        began, ended = self.found.get(start), self.found.get(end) if end else self.now
        return None if began is None or ended is None else max(0.0, ended - began)
