"""``anyjob jobs``: what the ledger knows, a line for each job."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from anyjob.cli.completion.completers import column_names
from anyjob.cli.context import open_session
from anyjob.cli.jobs.columns import COLUMNS, CUT, DEFAULT, TOLD, ListedJob, Told, message, read_columns
from anyjob.cli.jobs.job_ids import abbreviations
from anyjob.cli.jobs.selection import Criteria, filter_options, read_criteria
from anyjob.cli.terminal.output import is_terminal, print_message, table, write_json
from anyjob.ledger.rows import DUE, FINAL, MAY_WAIT, Row, Summary
from anyjob.session.facade import Session
from anyjob.status import JobStatus
from anyjob.views.details.refresh import refresh
from anyjob.views.details.row_data import row_data

NEWEST = 50
WAITING = ("id", "name", "backend", "message", "age", "work")
"""The columns that there are with ``--waiting``."""


@click.command(
    epilog="""\b
Examples:
  anyjob jobs
  anyjob jobs --state open
  anyjob jobs --waiting
  anyjob jobs --name fit --state failed --since 2h
  anyjob jobs --columns id,state,parameters,message
  anyjob jobs --tag study=a --limit 0 --json"""
)
@filter_options
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=NEWEST,
    show_default=True,
    metavar="N",
    help="Show only the newest N; 0: all.",
)
@click.option(
    "--columns",
    multiple=True,
    metavar="NAMES",
    help=f"What to show: {', '.join(COLUMNS)}.",
    shell_complete=column_names,
)
@click.option("--waiting", is_flag=True, help="Show the jobs that wait for others, and for which.")
@click.option("--superseded", is_flag=True, help="Also show jobs that were run again since.")
@click.option("--no-refresh", is_flag=True, help="Ask no backend; show what is in the ledger.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def jobs(
    limit: int,
    columns: tuple[str, ...],
    waiting: bool,
    superseded: bool,
    no_refresh: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """List the jobs that outlive the process that submitted them, the newest last.

    Ids are abbreviated, and every command takes them so. Backends are first asked about jobs that have not
    ended. The work is the command, or the function with its arguments, after the values of a job file's
    axes; long ones are cut, and --json shows more of them.
    """
    wanted = read_columns(columns)
    criteria = read_criteria(options)
    if waiting:
        if criteria.states is not None:
            raise click.UsageError("--waiting is of jobs that are QUEUED: leave out --state")
        criteria = criteria._replace(states=(JobStatus.QUEUED,))
        wanted = wanted or WAITING
    with open_session() as session:
        ledger = session.ledger
        most = limit + 1 if limit else None
        rows = select(session, criteria, most, superseded=superseded, blocked=waiting)
        more = 0 < limit < len(rows)
        rows = rows[-limit:] if limit else rows
        if not no_refresh:
            rows = refresh(session, ledger, rows)
        if waiting:  # meanwhile some may have started
            there = ledger.dependencies.awaited([row.job_id for row in rows]) if rows else {}
            rows = [row for row in rows if row.job_id in there]
        show(session, rows, wanted, as_json=as_json)
    if more:
        print_message(f"the newest {limit}; --limit 0 shows all")


def select(
    session: Session,
    criteria: Criteria,
    limit: int | None,
    *,
    superseded: bool = False,
    blocked: bool = False,
) -> list[Row]:
    """Return the newest rows that fit, oldest first.

    Raises:
        UnknownNameError: no backend is called as the criteria have it.
    """
    ledger = session.ledger
    numbers = None if criteria.backend is None else session.backend_numbers(criteria.backend)
    if not ledger.exists:
        return []
    return ledger.select(
        name=criteria.name,
        states=criteria.states,
        backends=numbers,
        tags=criteria.tags,
        since=criteria.since,
        parameters=criteria.parameters,
        superseded=superseded,
        blocked=blocked,
        limit=limit,
    )


def show(session: Session, rows: list[Row], columns: Sequence[str], *, as_json: bool) -> None:
    """Write rows to stdout."""
    ledger = session.ledger
    tags = {bulk: ledger.tags(bulk) for bulk in {row.bulk for row in rows}}
    ids = [row.job_id for row in rows]
    known = ledger.summaries(ids) if rows else {}
    summaries = [known.get(job_id, Summary()) for job_id in ids]
    blocked = [row.job_id for row in rows if row.state in MAY_WAIT]
    again = [row.job_id for row in rows if row.state == DUE]
    awaited = ledger.dependencies.awaited(blocked) if blocked else {}
    due = ledger.attempts.due(again) if again else {}
    waits = [awaited[job_id].in_words() if job_id in awaited else "" for job_id in ids]
    waits = [due[i].in_words(time.time()) if i in due else text for i, text in zip(ids, waits, strict=True)]
    contexts = ledger.contexts([*tags]) if as_json or "parent" in columns else {}
    parents = [contexts[row.bulk].parent if row.bulk in contexts else "" for row in rows]
    found = zip(rows, summaries, waits, parents, strict=True)
    if as_json:
        write_json(
            [
                row_data(row, tags[row.bulk], what, message(row) or waits_for, parent)
                for row, what, waits_for, parent in found
            ]
        )
        return
    short = abbreviations(ledger, [*ids, *filter(None, parents)])
    told = told_now(session, rows) if {*columns} & {*TOLD} else {}
    jobs = [
        ListedJob(
            row,
            tags[row.bulk],
            what,
            short[row.job_id],
            told.get(row.job_id, Told()),
            waits_for,
            short.get(parent, ""),
        )
        for row, what, waits_for, parent in found
    ]
    cells = {name: [COLUMNS[name](job) for job in jobs] for name in columns or DEFAULT}
    if jobs and not columns and is_terminal(sys.stdout):  # there, room is dear
        cells = {name: column for name, column in cells.items() if any(column)}
    table(list(cells), zip(*cells.values(), strict=True), marks=("ERROR", "CANCELLED"), cut=CUT)


def told_now(session: Session, rows: list[Row]) -> dict[str, Told]:
    """Return where jobs are in their queues, and what they have cost, by id; nobody is asked for it."""
    from anyjob.ledger.encoding import decode_outcome
    from anyjob.session.backends.plain_job import KIND as PLAIN
    from anyjob.views.details.queue_place import queue_place

    found = {}
    queues: dict[int, dict[str, int]] = {}
    for row in rows:
        if row.outcome is not None:
            outcome = decode_outcome(row.outcome)
            found[row.job_id] = Told(None, outcome.cost, outcome.currency)
        elif row.state < FINAL and row.kind != PLAIN:
            job = session.get_job(row.job_id)
            found[row.job_id] = Told(queue_place(job, queues)[0], job._record.cost, job._record.currency)
    return found
