"""``anyjob graph``: what starts after what."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from anyjob.cli.completion.completers import job_ids
from anyjob.cli.context import open_session
from anyjob.cli.terminal.output import console, is_terminal, write_json, write_line
from anyjob.runtime.dependencies.prerequisites import find
from anyjob.status import JOB_FINAL_STATES
from anyjob.views.details.refresh import refresh
from anyjob.views.graph import drawn
from anyjob.views.graph.folded import fold

FORMATS = ("tree", "dot", "mermaid", "json")


@click.command(
    epilog="""\b
Examples:
  anyjob graph fit-1
  anyjob graph 3f2a91c --format mermaid
  anyjob graph study --format dot | dot -Tsvg > study.svg"""
)
@click.argument("job", metavar="ID|NAME", shell_complete=job_ids)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="tree",
    show_default=True,
    help="A tree for people, or a language that draws graphs, or JSON.",
)
def graph(job: str, form: str) -> None:
    """Show which jobs start after which, and their states: everything that a job, or those of a name, are
    tied to.

    Jobs that have the same name and start after the same jobs are one line, with their number.
    """
    with open_session() as session:
        ledger = session.ledger
        found = find(ledger, job, purpose="")
        tied = ledger.graph(found)
        unfinished = [each.job_id for each in tied.jobs if each.status not in JOB_FINAL_STATES]
        if unfinished:
            refresh(session, ledger, list(ledger.rows(unfinished).values()))
            tied = ledger.graph(found)
    nodes = fold(tied)
    if form == "json":
        write_json(drawn.as_data(nodes))
    elif form == "tree":
        _write_tree(drawn.tree(nodes))
    else:
        text = drawn.dot(nodes, job) if form == "dot" else drawn.mermaid(nodes)
        for line in text.splitlines():
            write_line(line)


def _write_tree(lines: Iterable[drawn.Line]) -> None:
    if not is_terminal(sys.stdout):
        for line in lines:
            more = f"({line.more})" if line.more else ""
            write_line("  ".join(filter(None, [line.branch + line.label, line.state, more])))
        return
    from rich.text import Text

    shown = console(sys.stdout)
    for line in lines:
        text = Text(line.branch, style="dim").append(line.label, style="bold")
        if line.state:
            text.append(f"  {line.state}", style=line.colour or "dim")
        if line.more:
            text.append(f"  ({line.more})", style="dim")
        shown.print(text)
