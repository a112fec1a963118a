"""``anyjob hold``, ``release``, ``pause``, ``resume`` and ``priority``: when jobs start, and go on."""

from __future__ import annotations

import sys
from typing import Any

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion.completers import open_job_ids
from anyjob.cli.context import open_session
from anyjob.cli.control.cancel import yes_option
from anyjob.cli.jobs.selection import confirm, filter_options, find_jobs, read_criteria
from anyjob.cli.terminal.output import write_line
from anyjob.status import JobStatus

_DONE = {"hold": "held", "release": "released", "pause": "paused", "resume": "resumed"}


REFUSED = {
    "hold": "only what waits can be",
    "release": "only what is held can be",
    "pause": "only what runs can be",
    "resume": "only what is paused can be",
}
"""Why an action came to nothing."""


def _command(action: str, state: JobStatus, text: str, example: str) -> click.Command:
    @click.command(action, help=text, epilog=f"\b\nExamples:\n{example}")
    @click.argument("ids", nargs=-1, metavar="[ID|NAME]...", shell_complete=open_job_ids)
    @filter_options
    @yes_option
    def command(ids: tuple[str, ...], yes: bool, **options: Any) -> None:
        criteria = read_criteria(options)
        if criteria and criteria.states is None:
            criteria = criteria._replace(states=(state,))
        with open_session() as session:
            jobs = find_jobs(session, ids, criteria)
            confirm(action, len(jobs), by_filters=not ids, yes=yes)
            done = getattr(session, action)(jobs)
        counts = [
            (sum(done), _DONE[action]),
            (len(done) - sum(done), f"not {_DONE[action]}: {REFUSED[action]}"),
        ]
        write_line(", ".join(f"{count} {what}" for count, what in counts if count) or "no job fits")
        sys.exit(exit_codes.FOUND if ids and not all(done) else exit_codes.OK)

    return command


hold = _command(
    "hold",
    JobStatus.QUEUED,
    """Keep waiting jobs from starting until `anyjob release`: those of these ids or names, or those that
    match the filters.

    Running jobs are not held: see `anyjob pause`. The exit code is 1 where one of the ids is not held.""",
    "  anyjob hold 3f2a91c 77b01ee\n  anyjob hold --name fit",
)
release = _command(
    "release",
    JobStatus.QUEUED,
    """Let held jobs start: those of these ids or names, or those that match the filters.

    The exit code is 1 where one of the ids was not held.""",
    "  anyjob release 3f2a91c 77b01ee\n  anyjob release --name fit",
)
pause = _command(
    "pause",
    JobStatus.RUNNING,
    """Suspend running jobs until `anyjob resume`: those of these ids or names, or those that match the
    filters.

    All their processes are stopped. They keep their slots and their memory, and their walltime goes on. The
    exit code is 1 where one of the ids is not running.""",
    "  anyjob pause 3f2a91c\n  anyjob pause --tag study=a",
)
resume = _command(
    "resume",
    JobStatus.RUNNING,
    """Let paused jobs go on: those of these ids or names, or those that match the filters.

    The exit code is 1 where one of the ids was not paused.""",
    "  anyjob resume 3f2a91c\n  anyjob resume --tag study=a",
)


@click.command(
    epilog="""\b
Examples:
  anyjob priority 3f2a91c 5
  anyjob priority --name fit -- -1"""
)
@click.argument("words", nargs=-1, required=True, metavar="[ID|NAME]... N", shell_complete=open_job_ids)
@filter_options
@yes_option
def priority(words: tuple[str, ...], yes: bool, **options: Any) -> None:
    """Give waiting jobs the priority N: those of these ids or names, or those that match the filters.

    The higher, the sooner they start; by default it is 0. Write `--` before a negative one. The exit code is
    1 where one of the ids is not waiting.
    """
    from anyjob.resources import check_priority

    *ids, number = words
    wanted = check_priority(number)
    criteria = read_criteria(options)
    if criteria and criteria.states is None:
        criteria = criteria._replace(states=(JobStatus.QUEUED,))
    with open_session() as session:
        jobs = find_jobs(session, ids, criteria)
        confirm("change", len(jobs), by_filters=not ids, yes=yes)
        done = session.set_priority(jobs, wanted)
    counts = [
        (sum(done), f"with priority {wanted}"),
        (len(done) - sum(done), "not changed: only what waits can be"),
    ]
    write_line(", ".join(f"{count} {what}" for count, what in counts if count) or "no job fits")
    sys.exit(exit_codes.FOUND if ids and not all(done) else exit_codes.OK)
