"""``anyjob usage``: how long jobs ran and what they cost, summed up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import click

from anyjob.cli.context import open_session
from anyjob.cli.jobs.listing import select
from anyjob.cli.jobs.selection import filter_options, read_criteria
from anyjob.cli.output import table, write_json
from anyjob.ledger.encoding import decode_outcome
from anyjob.ledger.rows import Row
from anyjob.text.amounts import money, span

GROUPS: dict[str, Callable[[Row], str]] = {
    "backend": lambda row: row.label,
    "name": lambda row: row.name,
    "kind": lambda row: row.kind,
    "day": lambda row: datetime.fromtimestamp(row.submitted).strftime("%Y-%m-%d"),
}
"""What jobs can be summed up by, and how a job tells it."""


@click.command(
    epilog="""\b
Examples:
  anyjob usage
  anyjob usage --by backend --by day --since 30d
  anyjob usage --by name --backend hpc --json"""
)
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(list(GROUPS)),
    default=["backend"],
    show_default=True,
    help="A line for each of these. Repeatable.",
)
@filter_options
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def usage(by: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Sum up the jobs that outlive their submitter: how many, how long they ran, and what they cost.

    Those that were run anew count, too. Costs are what the backends tell; each currency is a sum of its own.
    """
    with open_session() as session:
        lines = summed(select(session, read_criteria(options), None, superseded=True), by)
    if as_json:
        write_json(lines)
        return
    table(
        [*by, "jobs", "done", "failed", "ran", "cost"],
        (
            [
                *(line[key] for key in by),
                line["jobs"],
                line["done"],
                line["failed"],
                span(line["seconds"]),
                ", ".join(money(cost, currency) for currency, cost in line["cost"].items()),
            ]
            for line in lines
        ),
    )


def summed(rows: Iterable[Row], by: Iterable[str]) -> list[dict[str, Any]]:
    """Return a line for each group of jobs; seconds are those between their starts and ends."""
    lines: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(GROUPS[each](row) for each in by)
        none: dict[str, Any] = {"jobs": 0, "done": 0, "failed": 0, "seconds": 0.0, "cost": {}}
        line = lines.setdefault(key, {**dict(zip(by, key, strict=True)), **none})
        line["jobs"] += 1
        line["done"] += row.status.name == "DONE"
        line["failed"] += row.status.name == "ERROR"
        if row.started is not None and row.finished is not None:
            line["seconds"] += max(0.0, row.finished - row.started)
        outcome = None if row.outcome is None else decode_outcome(row.outcome)
        if outcome is not None and outcome.cost is not None:
            line["cost"][outcome.currency] = line["cost"].get(outcome.currency, 0.0) + outcome.cost
    return [lines[key] for key in sorted(lines)]
