"""``anyjob cancel`` and ``prune``: one call for as many jobs as are meant."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion.completers import open_job_ids
from anyjob.cli.context import open_session
from anyjob.cli.jobs.selection import confirm, filter_options, find_jobs, read_criteria
from anyjob.cli.terminal.output import write_line
from anyjob.session.jobs.filters import OPEN


def yes_option(function: Callable[..., None]) -> Callable[..., None]:
    """Add the option that has nothing asked."""
    return click.option("--yes", is_flag=True, help="Do not ask for confirmation.")(function)


# --- cancel ---------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  anyjob cancel 3f2a91c 77b01ee
  anyjob cancel --name fit
  anyjob cancel --state QUEUED --tag study=a --yes"""
)
@click.argument("ids", nargs=-1, metavar="[ID|NAME]...", shell_complete=open_job_ids)
@filter_options
@click.option("--no-downstream", is_flag=True, help="Let jobs that start after them start without them.")
@yes_option
def cancel(ids: tuple[str, ...], no_downstream: bool, yes: bool, **options: Any) -> None:
    """Cancel the jobs of these ids or names, or those that match the filters and have not ended.

    A job that was to start after the success, or the failure, of a cancelled one ends too, with the reason
    `dependency`.

    On a terminal, confirmation is asked for where filters match several jobs. The exit code is 1 where a
    backend refused to cancel a job, and that goes on.
    """
    criteria = read_criteria(options)
    if criteria and criteria.states is None:
        criteria = criteria._replace(states=OPEN)
    with open_session() as session:
        jobs = find_jobs(session, ids, criteria)
        confirm("cancel", len(jobs), by_filters=not ids, yes=yes)
        answers = session.cancel(jobs, downstream=not no_downstream)
        left = [job for job, accepted in zip(jobs, answers, strict=True) if not accepted]
        refused = sum(not job.in_final_state() for job in left)
    counts = [(sum(answers), "cancelled"), (len(left) - refused, "ended before"), (refused, "not cancelled")]
    write_line(", ".join(f"{count} {what}" for count, what in counts if count) or "no job fits")
    sys.exit(exit_codes.FOUND if refused else exit_codes.OK)


# --- prune ----------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  anyjob prune --older-than 30d --dry-run
  anyjob prune --older-than 30d"""
)
@click.option(
    "--older-than", required=True, metavar="TIME", help="Only jobs that ended longer ago than this: 30d, 12h."
)
@click.option("--dry-run", is_flag=True, help="Say how many jobs that would be, and delete none.")
def prune(older_than: str, dry_run: bool) -> None:
    """Delete jobs that ended a while ago, with all that they wrote."""
    from anyjob.text.units import parse_duration

    seconds = parse_duration(older_than, what="--older-than", allow_zero=True)
    with open_session() as session:
        if dry_run:
            ledger = session.ledger
            count = len(ledger.ended_before(time.time() - seconds)) if ledger.exists else 0
        else:
            count = len(session.prune(seconds))
    write_line(f"{count} job{'' if count == 1 else 's'} {'would be ' if dry_run else ''}forgotten")
    sys.exit(exit_codes.OK)
