"""``anyjob explain``: why a job waits or failed, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from anyjob.cli.completion.completers import job_ids
from anyjob.cli.context import open_session
from anyjob.cli.jobs.job_ids import full_id
from anyjob.cli.terminal.output import write_json, write_line
from anyjob.views.details.facts_of import collect, last_lines
from anyjob.views.details.refresh import refresh
from anyjob.views.explanation.explain import explain as explained
from anyjob.views.explanation.facts import Explanation, Facts

LINES = 10
"""Lines of what a job wrote last that are shown."""


@click.command(
    epilog="""\b
Examples:
  anyjob explain 3f2a91c
  anyjob explain train
  anyjob explain 3f2a91c --json"""
)
@click.argument("job_id", metavar="ID|NAME", shell_complete=job_ids)
@click.option(
    "--lines",
    type=click.IntRange(min=0),
    default=LINES,
    show_default=True,
    metavar="N",
    help="How many of its last lines to show.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def explain(job_id: str, lines: int, as_json: bool) -> None:
    """Explain why a job waits, or why it failed, and what can be done about it.

    For a waiting job: its place in the queue, who holds what it needs, what it starts after, and what its
    engine says. For a failed one: what its reason means, what it wrote last, and how others like it fared in
    the last week.
    """
    with open_session() as session:
        ledger = session.ledger
        row = ledger.rows([full_id(ledger, job_id)]).popitem()[1]
        (row,) = refresh(session, ledger, [row])
        facts = collect(session, row)
        tails = last_lines(session, row, facts.found, lines)
    told = explained(facts)
    if as_json:
        write_json({**_plain(told, facts), "last_lines": tails})
        return
    _write(told, facts, tails)


def _write(told: Explanation, facts: Facts, tails: Mapping[str, list[str]]) -> None:
    found = facts.found
    name = f" ({found['name']})" if found["name"] else ""
    write_line(f"job {facts.short}{name} on {found['backend']}: {found['state']}")
    write_line(f"It {told.headline}.")
    for line in told.why:
        _bullet(line)
    for stream, lines in tails.items():
        write_line(f"The last of its {stream}:")
        for line in lines:
            write_line(f"  | {line}")
    if told.ways_out:
        write_line("What can be done:")
        for line in told.ways_out:
            _bullet(line)


def _bullet(text: str) -> None:
    first, *rest = text.splitlines() or [""]
    write_line(f"  - {first}")
    for line in rest:
        write_line(f"    {line}")


def _plain(told: Explanation, facts: Facts) -> dict[str, Any]:
    keys = ("job_id", "name", "backend", "state", "reason", "message", "attempt", "queue_position")
    return {
        **{key: facts.found[key] for key in keys},
        "explanation": told.headline,
        "why": told.why,
        "ways_out": told.ways_out,
        "asked": facts.found["resources"],
        "takes": facts.takes,
        "there_is": facts.there,
        "waits_for": [other._asdict() for other in facts.waits_for],
        "running": [other._asdict() for other in facts.running],
        "others_like_it": facts.alike._asdict(),
        "cause": facts.cause and facts.cause._asdict(),
    }
