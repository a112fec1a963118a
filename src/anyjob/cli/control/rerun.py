"""``anyjob rerun``: what jobs were handed is handed over anew, and waited for as `anyjob run` waits."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion.completers import job_ids
from anyjob.cli.context import open_session
from anyjob.cli.control.cancel import yes_option
from anyjob.cli.jobs.operations import extend_import_path, import_hook_plugins
from anyjob.cli.jobs.selection import confirm, filter_options, find_jobs, read_criteria
from anyjob.cli.terminal.output import print_message, write_line
from anyjob.session.facade import Session
from anyjob.status import JobStatus

RESOURCES = ("cpus", "memory", "gpus", "gpu_memory", "nodes", "tasks", "walltime")
_FAILED = (JobStatus.ERROR, JobStatus.CANCELLED)


def _resource_options(function: Callable[..., None]) -> Callable[..., None]:
    flags = {
        "--cpus": ("N", "Cores, instead of what it had."),
        "--memory": ("SIZE", "Memory: 8GiB."),
        "--gpus": ("N", "Accelerators; 0.5 for half of one."),
        "--gpu-memory": ("SIZE", "Memory of a shared accelerator."),
        "--nodes": ("N", "Machines."),
        "--tasks": ("N", "Processes, which end together."),
        "--walltime": ("TIME", "How long it may run: 90s, 2h, 1:30:00."),
    }
    for flag, (metavar, text) in reversed(flags.items()):
        function = click.option(flag, metavar=metavar, help=text)(function)
    return function


@click.command(
    epilog="""\b
Examples:
  anyjob rerun 3f2a91c --memory 16GiB
  anyjob rerun --name fit --walltime 4h --downstream
  anyjob rerun --tag study=a --state failed --since 1d --yes --detach"""
)
@click.argument("ids", nargs=-1, metavar="[ID|NAME]...", shell_complete=job_ids)
@filter_options
@_resource_options
@click.option("--downstream", is_flag=True, help="Also run those that start after these.")
@click.option("--detach", is_flag=True, help="Submit them, print their ids, and do not wait.")
@yes_option
def rerun(
    ids: tuple[str, ...],
    yes: bool,
    detach: bool,
    downstream: bool,
    **options: Any,
) -> None:
    """Submit jobs again, to the backends that they were submitted to, and wait as `anyjob run` does.

    The jobs are those of these ids or names, whatever came of them; or those that match the filters and,
    unless --state says otherwise, failed or were cancelled. On a terminal, confirmation is asked for where
    filters match several jobs.

    The new job starts after what the old one was to start after or, where that was run again, after the new
    job of that. With --downstream, jobs are run again, too, that started after these, directly or not, or
    never started because one of these had not succeeded. What has not ended goes on as it is; what ran
    because of a failure (`--after-failure`) is left alone.

    A new job supersedes the old one: names and filters find the newest. The output of a single job is passed
    on, and its exit code is that of anyjob; for several jobs it is 0 if all are DONE, else 1. Ctrl-C cancels
    them.
    """
    requested = {name: options.pop(name) for name in RESOURCES}
    criteria = read_criteria(options)
    if criteria and criteria.states is None:
        criteria = criteria._replace(states=_FAILED)
    resources: dict[str, Any] = {name: value for name, value in requested.items() if value is not None}
    with open_session() as session:
        jobs = find_jobs(session, ids, criteria)
        if downstream:
            from anyjob.session.jobs.actions import with_downstream

            jobs = with_downstream(session, jobs)
        confirm("run anew", len(jobs), by_filters=not ids, yes=yes)
        _make_importable(session, jobs)
        import_hook_plugins(session)
        code = exit_codes.OK
        if jobs and detach:
            for job in session.rerun(jobs, **resources):
                write_line(job.job_id())
            print_message(f"{len(jobs)} run anew")
        elif jobs:
            code = _run(session, jobs, resources)
        elif options["states"]:
            print_message("no job fits")
        else:
            print_message(
                "no job fits that has failed or was cancelled: --state says which others are to run anew"
            )
    sys.exit(code)


def _run(session: Session, jobs: list[Any], resources: dict[str, Any]) -> int:
    from anyjob.cli.run.single import run_one

    if len(jobs) == 1:
        job = jobs[0]
        return run_one(
            job.backend(), job.spec(), {}, as_json=False, submit=lambda: session.rerun(jobs, **resources)
        )
    from anyjob.cli.jobs.wait import wait_for_all
    from anyjob.cli.run.interrupts import Interrupts
    from anyjob.session.jobs.actions import cancel

    started: list[Any] = []
    # Only jobs that are in the ledger can be run anew, and these outlive us.
    with Interrupts(lambda: started, cancel, kill=False, outlive=True) as interrupts:
        started += session.rerun(jobs, **resources)
        print_message(f"{len(jobs)} run anew")
        code = wait_for_all(started, None)
    return code if interrupts.signal is None else exit_codes.SIGNALLED + interrupts.signal


def _make_importable(session: Session, jobs: list[Any]) -> None:
    """Have what these jobs are made of found by its modules' names."""
    rows = session.ledger.rows([job.job_id() for job in jobs])
    for row in {row.bulk: row for row in rows.values()}.values():
        extend_import_path(session, row)
