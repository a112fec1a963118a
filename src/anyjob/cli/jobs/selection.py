"""Which jobs are meant: by ids, abbreviated as git's are, or by filters."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import click

from anyjob.cli.completion import backend_names
from anyjob.cli.output import is_terminal, say
from anyjob.errors import AnyjobError, JobNotFoundError
from anyjob.jobfile.values import pairs
from anyjob.ledger.designation import SHORTEST, meant
from anyjob.ledger.rows import FINAL, Row
from anyjob.ledger.store import Ledger
from anyjob.session.facade import Session
from anyjob.status import JOB_FINAL_STATES, JobStatus

MOST_CANDIDATES = 20
OPEN = tuple(status for status in JobStatus if status not in JOB_FINAL_STATES)
_GROUPS = {"OPEN": OPEN, "ENDED": JOB_FINAL_STATES, "FAILED": (JobStatus.ERROR,)}


class Filters(NamedTuple):
    """What jobs are looked for by; None, or no tags, for what does not matter."""

    name: str | None
    states: tuple[JobStatus, ...] | None
    backend: str | None
    tags: dict[str, str]
    since: float | None

    def __bool__(self) -> bool:
        return any(each is not None and each != {} for each in self)


def filters(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that `read_filters` takes."""
    options = (
        click.option("--name", metavar="NAME", help="Of this name."),
        click.option(
            "--state",
            "states",
            multiple=True,
            metavar="STATE",
            help="In this state: QUEUED, RUNNING, DONE, …; or open, ended, failed. Repeatable.",
        ),
        click.option(
            "-b", "--backend", metavar="NAME", help="Given to this backend.", shell_complete=backend_names
        ),
        click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="With this tag. Repeatable."),
        click.option("--since", metavar="TIME", help="Submitted since then: 2h, 30m, 7d ago."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def read_filters(given: dict[str, Any]) -> Filters:
    """Make sense of the options of `filters`.

    Raises:
        SpecError: ``--since`` is no length of time.
        click.UsageError: a state or a tag is none.
    """
    since = None
    if given["since"] is not None:
        from anyjob.text.units import parse_duration

        since = time.time() - parse_duration(given["since"], what="--since")
    return Filters(
        given["name"],
        read_states(given["states"]) if given["states"] else None,
        given["backend"],
        pairs(given["tags"], "--tag"),
        since,
    )


def read_states(texts: Iterable[str]) -> tuple[JobStatus, ...]:
    """Return the states that these words mean."""
    found: dict[JobStatus, None] = {}
    for word in (word for text in texts for word in text.upper().split(",")):
        if word in _GROUPS:
            found.update(dict.fromkeys(_GROUPS[word]))
        elif word in JobStatus.__members__:
            found[JobStatus[word]] = None
        else:
            from anyjob.text.nearest import did_you_mean

            known = [*JobStatus.__members__, *_GROUPS]
            raise click.UsageError(f"--state: {word!r} is no state{did_you_mean(word, known)}")
    return tuple(found)


# --- by id ----------------------------------------------------------------------------------------


def full_id(ledger: Ledger, text: str) -> str:
    """Return the one id that begins so; or that of the job which its backend knows by this id; or its name's.

    Raises:
        JobNotFoundError: there is none, or there are several; the message lists these.
    """
    found = meant(ledger, text.strip(), MOST_CANDIDATES + 1)
    if len(found) == 1:
        return found[0]
    if not found:
        raise JobNotFoundError(f"no job {text!r} is in the ledger {ledger.path}: `anyjob jobs` lists them")
    rows = sorted(ledger.rows(found[:MOST_CANDIDATES]).values(), key=lambda row: row.n)
    lines = [
        f"  {row.job_id}  {row.status.name:<12}  {row.name or row.kind}, {age(row.submitted)} ago"
        for row in rows
    ]
    more = ["  …"] if len(found) > MOST_CANDIDATES else []
    raise JobNotFoundError(
        "\n".join([f"job id {text!r} is ambiguous: give more of it; there are", *lines, *more])
    )


def abbreviations(ledger: Ledger, job_ids: Iterable[str]) -> dict[str, str]:
    """Return for each id the shortest beginning that no other job's id has, of some length at least."""
    return {job_id: _abbreviated(ledger, job_id) for job_id in job_ids}


def _abbreviated(ledger: Ledger, job_id: str) -> str:
    for length in range(SHORTEST, len(job_id)):
        if len(ledger.by_prefix(job_id[:length], 2)) < 2:
            return job_id[:length]
    return job_id


def one_job(ours: Session, text: str) -> Any:
    """Return a handle on the job of this id, which may be abbreviated."""
    return ours.get_job(full_id(ours.ledger, text))


def importable(ours: Session, row: Row) -> None:
    """Have what a job is made of found by its module's name: look where its submitter did, last."""
    context, _, _ = ours.ledger.bulk(row.bulk)
    sys.path.extend(entry for entry in context.path if entry not in sys.path)


# --- many -----------------------------------------------------------------------------------------


def some_jobs(ours: Session, ids: Sequence[str], looked_for: Filters) -> list[Any]:
    """Return handles on the jobs of these ids or, where there are none, on those that fit the filters.

    Raises:
        click.UsageError: there are both, or neither.
        JobNotFoundError: an id is unknown or ambiguous.
    """
    if ids and looked_for:
        raise click.UsageError("name the jobs either by their ids or by filters (--name, --state, …)")
    if ids:
        ledger = ours.ledger
        return [ours.get_job(each) for each in dict.fromkeys(full_id(ledger, text) for text in ids)]
    if not looked_for:
        raise click.UsageError("name the jobs: by their ids, or by filters (--name, --state, --tag, …)")
    return ours.jobs(
        name=looked_for.name,
        state=looked_for.states,
        backend=looked_for.backend,
        tags=looked_for.tags,
        since=looked_for.since,
    )


def confirm(what: str, count: int, *, by_filters: bool, yes: bool) -> None:
    """Ask on a terminal before something is done with many jobs that were not named one by one.

    Raises:
        click.Abort: the answer is no.
    """
    if by_filters and count > 1 and not yes and _can_ask():
        click.confirm(f"{what} {count} jobs?", abort=True, err=True)


def _can_ask() -> bool:
    return sys.stdin.isatty() and is_terminal(sys.stderr)


def counted(states: Iterable[str]) -> str:
    """Return how many of each there are, in words: ``3 DONE, 1 ERROR``."""
    counts: dict[str, int] = {}
    for state in states:
        counts[state] = counts.get(state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


# --- what the ledger knows, brought up to date -------------------------------------------------------


def up_to_date(ours: Session, ledger: Ledger, rows: list[Row]) -> list[Row]:
    """Have engines asked about those jobs that have not ended; what cannot be asked is left as it is."""
    here = ("", os.uname().nodename)
    unfinished = {row.backend: row for row in rows if row.state < FINAL}
    of = [row for number, row in unfinished.items() if ledger.backend_row(number).host in here]
    for row in of:
        try:
            _ask(ours, row)
        except AnyjobError as error:
            say(f"warning: not up to date: {error}")
    if not of:
        return rows
    now = ledger.rows([row.job_id for row in rows])
    return [now.get(row.job_id, row) for row in rows]


def _ask(ours: Session, row: Row) -> None:
    """Ask the backend of a job about all of its jobs that have not ended, at once."""
    backend = ours.get_job(row.job_id).backend()
    if wake(backend):
        return  # what there is to know is in the ledger now
    # Handles first, questions second: the first question is about all of them.
    for job in [job for job in ours.jobs(state=OPEN, backend=row.label) if job.backend() is backend]:
        job.status()


def wake(backend: Any) -> bool:
    """See to it that somebody keeps a backend's queue, where that is in the ledger; return whether it is.

    Who begins to keep it, after a reboot say, looks first at what has become of its jobs.
    """
    if not getattr(backend, "queues_in_ledger", False):
        return False
    for _ in backend.launch([]):
        pass
    return True


# --- times ----------------------------------------------------------------------------------------


def age(then: float) -> str:
    """Return how long ago that was."""
    return span(max(0.0, time.time() - then))


def span(seconds: float) -> str:
    """Return a length of time for a person: ``0.4s``, ``42s``, ``3m10s``, ``2h05m``, ``12d03h``."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    for size, unit, smaller, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // smaller:02d}{part}"
    return f"{whole}s"
