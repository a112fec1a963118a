"""``anyjob cancel``, ``rerun`` and ``prune``: one call for as many jobs as are meant."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion import job_ids, open_job_ids
from anyjob.cli.context import open_session
from anyjob.cli.jobs.operations import extend_import_path
from anyjob.cli.jobs.selection import OPEN, confirm, filter_options, find_jobs, read_criteria
from anyjob.cli.output import print_message, write_line
from anyjob.session.facade import Session
from anyjob.status import JobStatus

_FAILED = (JobStatus.ERROR, JobStatus.CANCELLED)


def _yes_option(function: Callable[..., None]) -> Callable[..., None]:
    return click.option("--yes", is_flag=True, help="Do not ask, however many there are.")(function)


# --- cancel ---------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  anyjob cancel 3f2a91c 77b01ee
  anyjob cancel --name fit
  anyjob cancel --state QUEUED --tag study=a --yes"""
)
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=open_job_ids)
@filter_options
@_yes_option
def cancel(ids: tuple[str, ...], yes: bool, **options: Any) -> None:
    """Cancel jobs: those of these ids, or those that fit and have not ended.

    On a terminal, filters that fit several jobs ask first. The exit code is 1 where a backend would not
    cancel a job that goes on.
    """
    criteria = read_criteria(options)
    if criteria and criteria.states is None:
        criteria = criteria._replace(states=OPEN)
    with open_session() as session:
        jobs = find_jobs(session, ids, criteria)
        confirm("cancel", len(jobs), by_filters=not ids, yes=yes)
        answers = session.cancel(jobs)
        left = [job for job, accepted in zip(jobs, answers, strict=True) if not accepted]
        refused = sum(not job.in_final_state() for job in left)
    counts = [(sum(answers), "cancelled"), (len(left) - refused, "ended before"), (refused, "not cancelled")]
    write_line(", ".join(f"{count} {what}" for count, what in counts if count) or "no job fits")
    sys.exit(exit_codes.FOUND if refused else exit_codes.OK)


# --- rerun ----------------------------------------------------------------------------------------


def _resource_options(function: Callable[..., None]) -> Callable[..., None]:
    flags = {
        "--cpus": ("N", "Cores, in place of what it had."),
        "--memory": ("SIZE", "Such as 8GiB."),
        "--gpus": ("N", "Accelerators."),
        "--nodes": ("N", "Machines."),
        "--walltime": ("TIME", "How long it may run: 90s, 2h, 1:30:00."),
    }
    for flag, (metavar, text) in reversed(flags.items()):
        function = click.option(flag, metavar=metavar, help=text)(function)
    return function


@click.command(
    epilog="""\b
Examples:
  anyjob rerun 3f2a91c --memory 16GiB
  anyjob rerun --name fit --walltime 4h
  anyjob rerun --tag study=a --state failed --since 1d --yes"""
)
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=job_ids)
@filter_options
@_resource_options
@_yes_option
def rerun(
    ids: tuple[str, ...],
    yes: bool,
    cpus: str | None,
    memory: str | None,
    gpus: str | None,
    nodes: str | None,
    walltime: str | None,
    **options: Any,
) -> None:
    """Hand over anew what jobs were handed, to their backends; print the ids of the new jobs.

    The jobs are those of these ids, whatever came of them; or those that fit and, unless --state says
    otherwise, have failed or were cancelled. On a terminal, filters that fit several jobs ask first.

    A new job supersedes the one that it runs anew: of a name, and for filters, the newest counts.
    """
    criteria = read_criteria(options)
    if criteria and criteria.states is None:
        criteria = criteria._replace(states=_FAILED)
    requested = {"cpus": cpus, "memory": memory, "gpus": gpus, "nodes": nodes, "walltime": walltime}
    resources = {name: value for name, value in requested.items() if value is not None}
    with open_session() as session:
        jobs = find_jobs(session, ids, criteria)
        confirm("run anew", len(jobs), by_filters=not ids, yes=yes)
        _make_importable(session, jobs)
        for job in session.rerun(jobs, **resources):
            write_line(job.job_id())
    if not jobs and not options["states"]:
        print_message(
            "no job fits that has failed or was cancelled: --state says which others are to run anew"
        )
    else:
        print_message(f"{len(jobs)} run anew" if jobs else "no job fits")


def _make_importable(session: Session, jobs: list[Any]) -> None:
    """Have what these jobs are made of found by its modules' names."""
    rows = session.ledger.rows([job.job_id() for job in jobs])
    for row in {row.bulk: row for row in rows.values()}.values():
        extend_import_path(session, row)


# --- prune ----------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  anyjob prune --older-than 30d --dry-run
  anyjob prune --older-than 30d"""
)
@click.option("--older-than", required=True, metavar="TIME", help="That have ended longer ago: 30d, 12h.")
@click.option("--dry-run", is_flag=True, help="Say how many that would be, and forget none.")
def prune(older_than: str, dry_run: bool) -> None:
    """Forget jobs that have ended a while ago, with all that they wrote."""
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
