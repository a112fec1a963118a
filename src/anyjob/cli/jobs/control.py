"""``anyjob cancel``, ``rerun`` and ``prune``: one call for as many jobs as are meant."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from anyjob.cli import exits
from anyjob.cli.context import session
from anyjob.cli.jobs.selection import OPEN, confirm, filters, importable, read_filters, some_jobs
from anyjob.cli.output import say
from anyjob.session.facade import Session
from anyjob.status import JobStatus

_FAILED = (JobStatus.ERROR, JobStatus.CANCELLED)


def _yes(function: Callable[..., None]) -> Callable[..., None]:
    return click.option("--yes", is_flag=True, help="Do not ask, however many there are.")(function)


# --- cancel ---------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  anyjob cancel 3f2a91c 77b01ee
  anyjob cancel --name fit
  anyjob cancel --state QUEUED --tag study=a --yes"""
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filters
@_yes
def cancel(ids: tuple[str, ...], yes: bool, **given: Any) -> None:
    """Cancel jobs: those of these ids, or those that fit and have not ended.

    On a terminal, filters that fit several jobs ask first. The exit code is 1 where a backend would not
    cancel a job that goes on.
    """
    looked_for = read_filters(given)
    if looked_for and looked_for.states is None:
        looked_for = looked_for._replace(states=OPEN)
    with session() as ours:
        jobs = some_jobs(ours, ids, looked_for)
        confirm("cancel", len(jobs), by_filters=not ids, yes=yes)
        answers = ours.cancel(jobs)
        left = [job for job, accepted in zip(jobs, answers, strict=True) if not accepted]
        refused = sum(not job.in_final_state() for job in left)
    told = [(sum(answers), "cancelled"), (len(left) - refused, "ended before"), (refused, "not cancelled")]
    print(", ".join(f"{count} {what}" for count, what in told if count) or "no job fits")
    sys.exit(exits.FOUND if refused else exits.OK)


# --- rerun ----------------------------------------------------------------------------------------


def _resources(function: Callable[..., None]) -> Callable[..., None]:
    taken = {
        "--cpus": ("N", "Cores, in place of what it had."),
        "--memory": ("SIZE", "Such as 8GiB."),
        "--gpus": ("N", "Accelerators."),
        "--nodes": ("N", "Machines."),
        "--walltime": ("TIME", "How long it may run: 90s, 2h, 1:30:00."),
    }
    for flag, (metavar, text) in reversed(taken.items()):
        function = click.option(flag, metavar=metavar, help=text)(function)
    return function


@click.command(
    epilog="""\b
Examples:
  anyjob rerun 3f2a91c --memory 16GiB
  anyjob rerun --name fit --walltime 4h
  anyjob rerun --tag study=a --state failed --since 1d --yes"""
)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filters
@_resources
@_yes
def rerun(
    ids: tuple[str, ...],
    yes: bool,
    cpus: str | None,
    memory: str | None,
    gpus: str | None,
    nodes: str | None,
    walltime: str | None,
    **given: Any,
) -> None:
    """Hand over anew what jobs were handed, to their backends; print the ids of the new jobs.

    The jobs are those of these ids, whatever came of them; or those that fit and, unless --state says
    otherwise, have failed or were cancelled. On a terminal, filters that fit several jobs ask first.

    A new job supersedes the one that it runs anew: of a name, and for filters, the newest counts.
    """
    looked_for = read_filters(given)
    if looked_for and looked_for.states is None:
        looked_for = looked_for._replace(states=_FAILED)
    asked = {"cpus": cpus, "memory": memory, "gpus": gpus, "nodes": nodes, "walltime": walltime}
    resources = {name: value for name, value in asked.items() if value is not None}
    with session() as ours:
        jobs = some_jobs(ours, ids, looked_for)
        confirm("run anew", len(jobs), by_filters=not ids, yes=yes)
        _make_importable(ours, jobs)
        for job in ours.rerun(jobs, **resources):
            print(job.job_id())
    if not jobs and not given["states"]:
        say("no job fits that has failed or was cancelled: --state says which others are to run anew")
    else:
        say(f"{len(jobs)} run anew" if jobs else "no job fits")


def _make_importable(ours: Session, jobs: list[Any]) -> None:
    """Have what these jobs are made of found by its modules' names."""
    rows = ours.ledger.rows([job.job_id() for job in jobs])
    for row in {row.bulk: row for row in rows.values()}.values():
        importable(ours, row)


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
    with session() as ours:
        if dry_run:
            ledger = ours.ledger
            count = len(ledger.ended_before(time.time() - seconds)) if ledger.exists else 0
        else:
            count = len(ours.prune(seconds))
    print(f"{count} job{'' if count == 1 else 's'} {'would be ' if dry_run else ''}forgotten")
    sys.exit(exits.OK)
