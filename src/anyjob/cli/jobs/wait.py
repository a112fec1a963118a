"""``anyjob wait`` and ``anyjob result``: the end of jobs that another process may have submitted."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion.completers import job_ids, open_job_ids
from anyjob.cli.context import open_session
from anyjob.cli.jobs.failures import print_failures_of
from anyjob.cli.jobs.job_ids import full_id
from anyjob.cli.jobs.operations import extend_import_path, failure_of, outcome_of, result_of
from anyjob.cli.jobs.queueing import explained_wait
from anyjob.cli.jobs.selection import filter_options, find_jobs, read_criteria
from anyjob.cli.run.single import explain_failure
from anyjob.cli.run.streaming import StatusLine, wait_with_status
from anyjob.cli.terminal import results
from anyjob.cli.terminal.output import count_states, print_error, print_message, write_json
from anyjob.cli.terminal.values import write_option
from anyjob.errors import AnyjobError, CommandFailedError, JobTimeoutError
from anyjob.job import BaseJob
from anyjob.jobtypes import CommandJob
from anyjob.outcome import Outcome
from anyjob.tracking.waits.blocking import as_completed


def _timeout(text: str | None) -> float | None:
    from anyjob.text.units import parse_duration

    return None if text is None else parse_duration(text, what="--timeout", allow_zero=True)


# --- wait -----------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  anyjob wait 3f2a91c
  anyjob wait --name fit --timeout 2h"""
)
@click.argument("ids", nargs=-1, metavar="[ID|NAME]...", shell_complete=open_job_ids)
@filter_options
@click.option("--timeout", metavar="TIME", help="How long to wait at most; 0s: look once.")
def wait(ids: tuple[str, ...], timeout: str | None, **options: Any) -> None:
    """Wait for jobs to end: those of these ids or names, or those that match the filters.

    The exit code for one job is that of `anyjob run` for it; for several it is 0 if all are DONE, else 1. It
    is 124 where the timeout was not long enough. Ctrl-C leaves, and the jobs go on.
    """
    seconds = _timeout(timeout)
    with open_session() as session:
        jobs = find_jobs(session, ids, read_criteria(options))
        if not jobs:
            print_message("no job fits")
        code = _wait_for_one(jobs[0], seconds) if len(jobs) == 1 else wait_for_all(jobs, seconds)
    sys.exit(code)


def _wait_for_one(job: Any, timeout: float | None) -> int:
    if not ended_in_time(job, timeout):
        return exit_codes.WALLTIME
    outcome = outcome_of(job)
    if outcome.status.name != "DONE":
        why = f" ({outcome.reason})" if outcome.reason else ""
        message = f": {outcome.message}" if outcome.message else ""
        print_message(f"job {job.job_id()}: {outcome.status.name}{why}{message}")
    return code_of(job, outcome)


def wait_for_all(jobs: list[Any], timeout: float | None) -> int:
    """Wait for several jobs, with a line on a terminal that says how many have ended; return an exit code."""
    line = StatusLine()
    ended = 0
    line.show(f"0 of {len(jobs)} jobs have ended")
    try:
        with explained_wait(jobs):
            for _ in as_completed(jobs, timeout):
                ended += 1
                line.show(f"{ended} of {len(jobs)} jobs have ended")
    except JobTimeoutError as error:
        line.stop()
        print_error(str(error))
        return exit_codes.WALLTIME
    finally:
        line.stop()
    outcomes = [outcome_of(job) for job in jobs]
    states = [outcome.status.name for outcome in outcomes]
    if jobs:
        print_message(count_states(states))
        print_failures_of(jobs, outcomes)
    return exit_codes.OK if set(states) <= {"DONE"} else exit_codes.FOUND


def ended_in_time(job: BaseJob, timeout: float | None) -> bool:
    """Wait for one job, with a line on a terminal that says where it is; else say that it has not ended."""
    deadline = None if timeout is None else time.monotonic() + timeout
    line = StatusLine()
    try:
        if deadline is None:
            wait_with_status(job, line, f"job {job.job_id()[:8]}")
        else:
            with explained_wait([job]):
                job.wait_for_final_state(timeout=timeout)
    except JobTimeoutError as error:
        line.stop()
        print_error(str(error))
        return False
    finally:
        line.stop()
    return True


def code_of(job: Any, outcome: Outcome) -> int:
    """Return the exit code that `anyjob run` has for what came of a job."""
    command = isinstance(job, CommandJob)
    if command and outcome.status.name == "ERROR":
        error = failure_of(job)
        if isinstance(error, CommandFailedError):  # its program may have run as part of a call
            return error.exit_code & 0xFF or exit_codes.FAILED
    return exit_codes.of(outcome, command=command)


# --- result ---------------------------------------------------------------------------------------


@click.command(
    epilog="""\b
Examples:
  anyjob result 3f2a91c
  anyjob result 3f2a91c --json | jq .rms
  anyjob result 3f2a91c --timeout 0s
  anyjob result 3f2a91c --write plot=counts.png"""
)
@click.argument("job_id", metavar="ID|NAME", shell_complete=job_ids)
@click.option("--timeout", metavar="TIME", help="How long to wait at most; 0s: not at all.")
@write_option
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def result(job_id: str, timeout: str | None, writes: tuple[str, ...], as_json: bool) -> None:
    """Wait for a job to end, and print its result.

    For a command that is what it wrote to stdout, byte for byte; with --json, an object of exit_code, stdout
    and stderr. For a call it is what the function returned, as Python prints it; nothing for None. Other
    kinds of work print theirs in a form of their own, and some make files of it with --write. If the job
    failed, its error goes to stderr, and the exit code is that of `anyjob run` for it.
    """
    seconds = _timeout(timeout)
    with open_session() as session:
        ledger = session.ledger
        full = full_id(ledger, job_id)
        extend_import_path(session, ledger.rows([full])[full])
        job = session.get_job(full)
        made = results.read_writes(writes, job.metadata()["kind"], results.kind_of_job(job)) if writes else {}
        code = exit_codes.WALLTIME
        if ended_in_time(job, seconds):
            code = _print_result(job, made, as_json=as_json)
    sys.exit(code)


def _print_result(job: Any, writes: Mapping[str, str], *, as_json: bool) -> int:
    outcome = outcome_of(job)
    if outcome.status.name == "CANCELLED":
        message = f": {outcome.message}" if outcome.message else ""
        print_error(f"job {job.job_id()} was cancelled{message}")
    elif outcome.status.name == "ERROR":
        error = failure_of(job)
        print_error(str(error) if isinstance(error, AnyjobError) else explain_failure(outcome, error))
    else:
        value = result_of(job)
        if as_json:
            write_json(results.as_json(job, value))
        else:
            results.print_result(job, value)
        if not results.write_files(job, value, writes):
            return exit_codes.FAILED
    return code_of(job, outcome)
