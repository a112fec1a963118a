"""``anyjob jobs``: what the ledger knows, a line for each job."""

from __future__ import annotations

import time
from typing import Any

import click

from anyjob.cli.context import open_session
from anyjob.cli.jobs.refresh import refresh
from anyjob.cli.jobs.selection import Criteria, abbreviations, filter_options, read_criteria
from anyjob.cli.output import print_message, table, write_json
from anyjob.cli.times import age, span
from anyjob.ledger.rows import FINAL, Row
from anyjob.ledger.store import Ledger
from anyjob.session.facade import Session

NEWEST = 50


@click.command(
    epilog="""\b
Examples:
  anyjob jobs
  anyjob jobs --state open
  anyjob jobs --name fit --state failed --since 2h
  anyjob jobs --tag study=a --limit 0 --json"""
)
@filter_options
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=NEWEST,
    show_default=True,
    metavar="N",
    help="The newest so many; 0: all.",
)
@click.option("--superseded", is_flag=True, help="Those, too, that were run anew since.")
@click.option("--no-refresh", is_flag=True, help="Ask no backend: show what the ledger knows.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def jobs(limit: int, superseded: bool, no_refresh: bool, as_json: bool, **options: Any) -> None:
    """List jobs that outlive the process that submitted them, the newest last.

    Ids are cut to what is enough to tell them apart; every command takes them so. Those that have not
    ended are asked about first.
    """
    with open_session() as session:
        ledger = session.ledger
        rows = select(ledger, read_criteria(options), limit + 1 if limit else None, superseded=superseded)
        more = 0 < limit < len(rows)
        rows = rows[-limit:] if limit else rows
        if not no_refresh:
            rows = refresh(session, ledger, rows)
        show(session, rows, as_json=as_json)
    if more:
        print_message(f"the newest {limit}; --limit 0 shows all")


def select(ledger: Ledger, criteria: Criteria, limit: int | None, *, superseded: bool = False) -> list[Row]:
    """Return the newest rows that fit, oldest first."""
    if not ledger.exists:
        return []
    return ledger.select(
        name=criteria.name,
        states=criteria.states,
        backend=criteria.backend,
        tags=criteria.tags,
        since=criteria.since,
        superseded=superseded,
        limit=limit,
    )


def show(session: Session, rows: list[Row], *, as_json: bool) -> None:
    """Write rows to stdout."""
    ledger = session.ledger
    if as_json:
        tags = {bulk: ledger.tags(bulk) for bulk in {row.bulk for row in rows}}
        write_json([describe(row, tags[row.bulk]) for row in rows])
        return
    short = abbreviations(ledger, [row.job_id for row in rows])
    table(
        ["id", "name", "kind", "backend", "state", "reason", "age", "took"],
        (
            [
                short[row.job_id],
                row.name,
                row.kind,
                row.label,
                row.status.name,
                row.reason,
                age(row.submitted),
                duration(row),
            ]
            for row in rows
        ),
        marks=("ERROR", "CANCELLED"),
    )


def duration(row: Row) -> str | None:
    """Return how long a job has run, until now if it runs still."""
    if row.started is None or (row.state >= FINAL and row.finished is None):
        return None
    return span(max(0.0, (row.finished or time.time()) - row.started))


def describe(row: Row, tags: dict[str, str]) -> dict[str, Any]:
    """Return a row for ``--json``; times are in seconds since 1970."""
    return {
        "job_id": row.job_id,
        "name": row.name,
        "tags": tags,
        "kind": row.kind,
        "backend": row.label,
        "native_id": row.native_id,
        "state": row.status.name,
        "reason": row.reason,
        "attempt": row.attempt,
        "submitted": row.submitted,
        "started": row.started,
        "finished": row.finished,
    }
