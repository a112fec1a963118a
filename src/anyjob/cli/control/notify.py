"""``anyjob notify``: somebody is told once jobs have ended, whoever has left meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion.completers import job_ids
from anyjob.cli.context import open_session
from anyjob.cli.jobs.listing import select
from anyjob.cli.jobs.selection import Criteria, filter_options, read_criteria
from anyjob.cli.terminal.output import write_line
from anyjob.errors import JobNotFoundError
from anyjob.session.facade import Session


@click.command(
    epilog="""\b
Examples:
  anyjob notify fit --to team
  anyjob notify 3f2a91c --desktop
  anyjob notify --tag study=a --command 'cat >> ~/ended.txt'"""
)
@click.argument("jobs", nargs=-1, metavar="[ID|NAME]...", shell_complete=job_ids)
@filter_options
@click.option(
    "--to",
    "channels",
    multiple=True,
    metavar="CHANNEL",
    help="A channel of the table [notify] in the configuration. Repeatable.",
)
@click.option("--command", metavar="LINE", help="A line for a shell; it reads the message on stdin.")
@click.option("--desktop", is_flag=True, help="Show it on this desktop, by notify-send.")
@click.option(
    "--mail", multiple=True, metavar="ADDRESS", help="Mail it, by the mail server of this host. Repeatable."
)
@click.option("--report", metavar="FILE", help="Write a report on the jobs, as one page of HTML.")
@click.option(
    "--webhook", metavar="URL", help="Post it to a URL that is no secret; for others, use [notify]."
)
def notify(
    jobs: tuple[str, ...],
    channels: tuple[str, ...],
    command: str | None,
    desktop: bool,
    mail: tuple[str, ...],
    webhook: str | None,
    report: str | None,
    **options: Any,
) -> None:
    """Send a message once jobs have ended: how many are done, failed and cancelled, why, and how long it
    took.

    The jobs are those of these ids and names, or those that match the filters. The message is sent once all
    of them have ended, even if nobody is logged in by then. A job on `local` does that for each way of
    sending, and its id is printed: cancel it to send nothing. What cannot be sent is tried again for some 20
    minutes; `anyjob logs ID` says why.
    """
    from anyjob.cli.run.sweeps.results_file import check_place
    from anyjob.config import notification_channels as configured
    from anyjob.notifications.request import Request, submit

    given: dict[str, Any] = {"command": command, "desktop": desktop, "mail": list(mail), "webhook": webhook}
    given["report"] = report and os.path.abspath(report)
    if report:
        check_place("--report", report)
    ways: list[Any] = [*dict.fromkeys(channels), *({way: how} for way, how in given.items() if how)]
    if not ways:
        raise click.UsageError(
            "say how: --to CHANNEL, --command LINE, --desktop, --mail ADDRESS, --webhook URL or --report FILE"
        )
    criteria = read_criteria(options)
    if bool(jobs) == bool(criteria):
        raise click.UsageError("name the jobs: by ids and names, or by filters (--name, --tag, --since, …)")
    with open_session() as session:
        for way in ways:
            if isinstance(way, str):
                found = configured.channel(session.config, way)
                where = f"notify.{way}.{found.ways[0]}"
            else:
                where = f"--{next(iter(way))}"
                found = configured.read(way, where)
            configured.check(found, where)
        title, ids, after = _meant(session, jobs, criteria)
        for way in ways:
            write_line(submit(session, Request(title, ids, way), after).job_id())
    sys.exit(exit_codes.OK)


def _meant(
    session: Session, words: Sequence[str], criteria: Criteria
) -> tuple[str, list[str], Sequence[str]]:
    """Return what the jobs are called, their ids, and how they are told to who starts after them."""
    if words:
        from anyjob.runtime.dependencies.prerequisites import find

        found = [job_id for word in words for job_id in find(session.ledger, word, " to tell of")]
        return " ".join(words), list(dict.fromkeys(found)), words
    rows = select(session, criteria, None)
    if not rows:
        raise JobNotFoundError("no job fits: there is nothing to tell of; `anyjob jobs` lists them")
    ids = [row.job_id for row in rows]
    return " ".join(criteria.called()) or f"{len(ids)} jobs", ids, ids
