"""The columns of ``anyjob jobs``: what each shows of a job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from anyjob.ledger.rows import FINAL, Row, Summary
from anyjob.text.amounts import age, money, size, span

if TYPE_CHECKING:
    from anyjob.outcome import Outcome

DEFAULT = ("id", "name", "backend", "state", "reason", "age", "took", "work")
TOLD = ("position", "cost")
"""Those for which more is looked at than the rows of the ledger."""
CUT = ("work", "parameters", "tags", "message")


class Told(NamedTuple):
    """Of a job, how many wait until it is its turn, and what it has cost so far; None: that is not known."""

    position: int | None = None
    cost: float | None = None
    currency: str = ""


class ListedJob(NamedTuple):
    """A job of a listing: what the ledger knows of it, its tags, the shortest id that means no other, and
    where that was asked for (`TOLD`), what is told of it now: its place in its queue, and its cost; which
    others it waits for, if it does; and, where that was asked for, the shortest id of the one that has
    submitted it.
    """

    row: Row
    tags: Mapping[str, str]
    summary: Summary
    short: str
    told: Told = Told()
    waits: str = ""
    parent: str = ""


def work(summary: Summary) -> str:
    """Return what a job is, in a line: its values of the axes of a job file go before."""
    values = pairs(summary.parameters)
    return f"{values}: {summary.work}" if values and summary.work else values or summary.work


def pairs(values: Mapping[str, Any]) -> str:
    """Return names and values in a line: ``seed=3 lr=0.1``."""
    return " ".join(f"{name}={value}" for name, value in values.items())


def duration(row: Row) -> str | None:
    """Return how long a job has run, until now if it runs still."""
    if row.started is None or (row.state >= FINAL and row.finished is None):
        return None
    return span(max(0.0, (row.finished or time.time()) - row.started))


def outcome(row: Row) -> Outcome | None:
    """Return what came of a job, where more is known of that than its row says."""
    if row.outcome is None:
        return None
    from anyjob.ledger.encoding import decode_outcome

    return decode_outcome(row.outcome)


def message(row: Row) -> str:
    """Return what is said of the end of a job."""
    found = outcome(row)
    return "" if found is None else found.message


def used(field: str, form: Callable[[Any], str]) -> Callable[[ListedJob], str | None]:
    """Return what shows how much a job has used of something."""

    def show(job: ListedJob) -> str | None:
        value = getattr(outcome(job.row), field, None)
        return None if value is None else form(value)

    return show


def _time(then: float | None) -> str | None:
    return None if then is None else datetime.fromtimestamp(then).strftime("%Y-%m-%d %H:%M:%S")


COLUMNS: dict[str, Callable[[ListedJob], Any]] = {
    "id": lambda job: job.short,
    "job-id": lambda job: job.row.job_id,
    "name": lambda job: job.row.name,
    "work": lambda job: work(job.summary),
    "parameters": lambda job: pairs(job.summary.parameters),
    "tags": lambda job: pairs(job.tags),
    "kind": lambda job: job.row.kind,
    "backend": lambda job: job.row.label,
    "native-id": lambda job: job.row.native_id,
    "state": lambda job: job.row.status.name,
    "reason": lambda job: job.row.reason,
    "message": lambda job: message(job.row) or job.waits,
    "position": lambda job: job.told.position,
    "cost": lambda job: "" if job.told.cost is None else money(job.told.cost, job.told.currency),
    "attempt": lambda job: job.row.attempt,
    "parent": lambda job: job.parent,
    "cpu-time": used("cpu_time", span),
    "peak-memory": used("peak_memory", size),
    "read": used("read_bytes", size),
    "written": used("written_bytes", size),
    "gpu-memory": used("peak_gpu_memory", size),
    "age": lambda job: age(job.row.submitted),
    "took": lambda job: duration(job.row),
    "submitted": lambda job: _time(job.row.submitted),
    "started": lambda job: _time(job.row.started),
    "finished": lambda job: _time(job.row.finished),
}
"""Each with what stands in its cells."""


def read_columns(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that somebody has asked for, in that order.

    Raises:
        click.UsageError: one is none.
    """
    names = [name.strip().lower() for text in texts for name in text.split(",") if name.strip()]
    for name in names:
        if name not in COLUMNS:
            from anyjob.text.suggestions import nearest

            near = nearest(name, COLUMNS)
            meant = f"did you mean {near!r}? There" if near else "there"
            raise click.UsageError(f"--columns: {name!r} is none: {meant} are {', '.join(COLUMNS)}")
    return tuple(dict.fromkeys(names))
