"""``anyjob report``: what came of jobs, in one file to keep."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import click

from anyjob.cli.context import open_session
from anyjob.cli.jobs.listing import select
from anyjob.cli.jobs.selection import Criteria, filter_options, read_criteria
from anyjob.cli.terminal.output import print_message
from anyjob.errors import JobNotFoundError
from anyjob.views import queries
from anyjob.views.details.refresh import refresh
from anyjob.views.report.making import keep, make_report
from anyjob.views.report.page import page
from anyjob.views.report.table import as_csv
from anyjob.views.report.trace import trace

NEWEST = 10_000


@click.command(
    epilog="""\b
Examples:
  anyjob report --name fit --html fit.html
  anyjob report --since 1d --trace day.json
  anyjob report --tag study=a --csv - | head"""
)
@filter_options
@click.option("--html", "html_path", metavar="FILE", help="A page for a browser; it loads nothing.")
@click.option(
    "--trace", "trace_path", metavar="FILE", help="A trace for ui.perfetto.dev, or Chrome's about:tracing."
)
@click.option("--csv", "csv_path", metavar="FILE", help="A table with a line for each job; -: to stdout.")
@click.option("--title", metavar="TEXT", help="The title of the page; by default the filters.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=NEWEST,
    show_default=True,
    metavar="N",
    help="Only the newest N.",
)
@click.option("--superseded", is_flag=True, help="Also jobs that were run again since.")
@click.option("--no-refresh", is_flag=True, help="Ask no backend; report what is in the ledger.")
def report(
    html_path: str | None,
    trace_path: str | None,
    csv_path: str | None,
    title: str | None,
    limit: int,
    superseded: bool,
    no_refresh: bool,
    **options: Any,
) -> None:
    """Write a report on jobs into a file: a page, a trace or a table.

    The page has a summary, who ran where and when, waiting against running, what was requested against what
    was used, failures by reason with the last lines of a job, what started after what, and a searchable
    table of all jobs. It is one file, and loads nothing from a network.
    """
    if not (html_path or trace_path or csv_path):
        raise click.UsageError("say what to write: --html FILE, --trace FILE or --csv FILE")
    if [html_path, trace_path, csv_path].count("-") > 1:
        raise click.UsageError(
            "only one of --html, --trace and --csv goes to stdout: name files for the others"
        )
    paths = [os.path.realpath(path) for path in (html_path, trace_path, csv_path) if path and path != "-"]
    if len(set(paths)) < len(paths):
        raise click.UsageError(
            "--html, --trace and --csv are to be written to one file: name another for each"
        )
    criteria = read_criteria(options)
    with open_session() as session:
        rows = select(session, criteria, limit + 1, superseded=superseded)
        if not rows:
            raise JobNotFoundError("no job fits: there is nothing to report; `anyjob jobs` lists them")
        more = len(rows) > limit
        rows = rows[-limit:]
        if not no_refresh:
            rows = refresh(session, session.ledger, rows)
        jobs, now = queries.reported(session.ledger, rows), time.time()
        if html_path:
            made = make_report(session.ledger, rows, title or _title(criteria), jobs=jobs, more=more)
    if html_path:
        _write(html_path, page(made))
    if trace_path:
        _write(trace_path, trace(jobs, now))
    if csv_path:
        _write(csv_path, as_csv(jobs, now))
    if more:
        print_message(f"the newest {limit}; --limit has more")


def _title(criteria: Criteria) -> str:
    said = criteria.called()
    said += [f"on {criteria.backend}"] if criteria.backend else []
    said += [", ".join(state.name for state in criteria.states)] if criteria.states else []
    return " ".join(said) or "All jobs"


def _write(path: str, text: str) -> None:
    """Write a file, all of it or nothing; or to stdout."""
    if path == "-":
        sys.stdout.write(text)
        return
    keep(path, text)
    print_message(f"wrote {path}")
