"""``anyjob usage``: how long jobs ran, how much they used of what they asked for, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import click

from anyjob.cli.context import open_session
from anyjob.cli.jobs.listing import select
from anyjob.cli.jobs.selection import filter_options, read_criteria
from anyjob.cli.terminal.output import table, write_json
from anyjob.text.amounts import money, span
from anyjob.views.queries import reported
from anyjob.views.report.figures import Group
from anyjob.views.report.usage import GROUPS, as_plain, summed_up


@click.command(
    epilog="""\b
Examples:
  anyjob usage
  anyjob usage --by name,backend,day --since 30d
  anyjob usage --by name --backend hpc --json"""
)
@click.option(
    "--by",
    multiple=True,
    metavar="NAMES",
    default=["backend"],
    show_default=True,
    help=f"Group by these: {', '.join(GROUPS)}; several with commas between them.",
)
@filter_options
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def usage(by: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Sum up the jobs that outlive their submitter: how many, how long they ran, and what they cost.

    Core-hours and GPU-hours are what was requested, times how long it ran. Beside them stands how much of
    the cores' time and of the memory was used, by those jobs for which that was measured. Jobs that were run
    again since count, too. Costs are what the backends tell; each currency is summed up by itself.
    """
    keys = read_groups(by)
    with open_session() as session:
        rows = select(session, read_criteria(options), None, superseded=True)
        jobs = reported(session.ledger, rows, with_work=False)
    groups = summed_up(jobs, keys, time.time())
    if as_json:
        write_json([as_plain(keys, group) for group in groups])
        return
    lines = [as_line(group) for group in groups]
    used = [name for name in _COLUMNS if any(line[name] not in (None, "") for line in lines)]
    used = [name for name in _COLUMNS if name in used or name in _ALWAYS]
    table(
        [*keys, *used],
        ([*group.key, *(line[name] for name in used)] for group, line in zip(groups, lines, strict=True)),
    )


_ALWAYS = ("jobs", "done", "failed", "ran", "core-hours", "cost")
_COLUMNS = ("jobs", "done", "failed", "ran", "core-hours", "GPU-hours", "of cores", "of memory", "cost")


def read_groups(texts: Iterable[str]) -> tuple[str, ...]:
    """Return what jobs are summed up by, in that order.

    Raises:
        click.UsageError: one of these is nothing that a job tells.
    """
    names = [name.strip().lower() for text in texts for name in text.split(",") if name.strip()]
    for name in names:
        if name not in GROUPS:
            from anyjob.text.suggestions import did_you_mean

            raise click.UsageError(f"--by: {name!r} groups nothing{did_you_mean(name, GROUPS)}")
    return tuple(dict.fromkeys(names))


def as_line(group: Group) -> dict[str, Any]:
    """Return the cells of a group, by the names of their columns."""
    return {
        "jobs": group.jobs,
        "done": group.done,
        "failed": group.failed,
        "ran": span(group.hours * 3600),
        "core-hours": f"{group.core_hours:.2f}",
        "GPU-hours": f"{group.gpu_hours:.2f}" if group.gpu_hours else None,
        "of cores": _percent(group.cpu_use),
        "of memory": _percent(group.memory_use),
        "cost": ", ".join(money(cost, currency) for currency, cost in group.cost.items()),
    }


def _percent(part: float | None) -> str | None:
    return None if part is None else f"{part:.0%}"
