"""Which jobs are meant: by ids, abbreviated as git's are, or by filters."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import click

from anyjob.cli.completion.completers import backend_names, job_names, job_tags, states
from anyjob.cli.jobs.job_ids import full_id
from anyjob.cli.terminal.output import is_terminal
from anyjob.cli.terminal.values import parse_pairs
from anyjob.errors import SpecError
from anyjob.session.facade import Session
from anyjob.session.jobs.filters import as_states, as_time
from anyjob.status import JobStatus


class Criteria(NamedTuple):
    """What jobs are looked for by; None, or no tags or parameters, for what does not matter."""

    name: str | None
    states: tuple[JobStatus, ...] | None
    backend: str | None
    tags: dict[str, str]
    since: float | None
    parameters: dict[str, str]

    def __bool__(self) -> bool:
        return any(each is not None and each != {} for each in self)

    def called(self) -> list[str]:
        """Return the words by which jobs that fit may be called: their name, parameters and tags."""
        pairs = (*self.parameters.items(), *self.tags.items())
        return [*filter(None, [self.name]), *(f"{key}={value}" for key, value in pairs)]


def filter_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that `read_criteria` takes."""
    decorators = (
        click.option("--name", metavar="NAME", help="Only jobs of this name.", shell_complete=job_names),
        click.option(
            "--state",
            "states",
            multiple=True,
            metavar="STATE",
            shell_complete=states,
            help="Only jobs in this state: QUEUED, RUNNING, DONE, …; or open, ended, failed. Repeatable.",
        ),
        click.option(
            "-b", "--backend", metavar="NAME", help="Only jobs of this backend.", shell_complete=backend_names
        ),
        click.option(
            "--tag",
            "tags",
            multiple=True,
            metavar="KEY=VALUE",
            help="Only jobs with this tag. Repeatable.",
            shell_complete=job_tags,
        ),
        click.option(
            "-p",
            "parameters",
            multiple=True,
            metavar="AXIS=VALUE",
            help="Only jobs with this value of an axis of their job file. Repeatable.",
        ),
        click.option(
            "--since",
            metavar="TIME",
            help="Only jobs submitted within this time: 2h, 30m, 7d; or since a day: 2026-11-30, yesterday.",
        ),
    )
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


def read_criteria(options: dict[str, Any]) -> Criteria:
    """Make sense of the options of `filter_options`.

    Raises:
        SpecError: ``--since`` is no time.
        click.UsageError: a state or a tag is none.
    """
    return Criteria(
        options["name"],
        read_states(options["states"]) if options["states"] else None,
        options["backend"],
        parse_pairs(options["tags"], "--tag"),
        as_time(options["since"], what="--since"),
        parse_pairs(options["parameters"]),
    )


def read_states(texts: Iterable[str]) -> tuple[JobStatus, ...]:
    """Return the states that these words mean."""
    try:
        return as_states([word for text in texts for word in text.split(",")])
    except SpecError as error:
        raise click.UsageError(f"--{error}") from None


# --- by id ----------------------------------------------------------------------------------------


def find_job(session: Session, text: str) -> Any:
    """Return a handle on the job of this id, which may be abbreviated."""
    return session.get_job(full_id(session.ledger, text))


# --- many -----------------------------------------------------------------------------------------


def find_jobs(session: Session, ids: Sequence[str], criteria: Criteria) -> list[Any]:
    """Return handles on the jobs of these ids or, where there are none, on those that fit the filters.

    Raises:
        click.UsageError: there are both, or neither.
        JobNotFoundError: an id is unknown or ambiguous.
    """
    if ids and criteria:
        raise click.UsageError("name the jobs either by their ids or by filters (--name, --state, …)")
    if ids:
        ledger = session.ledger
        return [
            session.get_job(each)
            for each in dict.fromkeys(full_id(ledger, text, one_of_many=True) for text in ids)
        ]
    if not criteria:
        raise click.UsageError("name the jobs: by their ids, or by filters (--name, --state, --tag, …)")
    return session.jobs(
        name=criteria.name,
        state=criteria.states,
        backend=criteria.backend,
        tags=criteria.tags,
        since=criteria.since,
        parameters=criteria.parameters,
    )


def confirm(what: str, count: int, *, by_filters: bool, yes: bool) -> None:
    """Ask on a terminal before something is done with many jobs that were not named one by one.

    Raises:
        click.Abort: the answer is no.
    """
    if by_filters and count > 1 and not yes and _is_interactive():
        click.confirm(f"{what} {count} jobs?", abort=True, err=True)


def _is_interactive() -> bool:
    return sys.stdin.isatty() and is_terminal(sys.stderr)
