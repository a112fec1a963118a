"""``anyjob plugins``: what is installed, and whether it can be imported."""

from __future__ import annotations

import sys
from typing import Any

import click

from anyjob.cli import exits
from anyjob.cli.context import hear_warnings, registry
from anyjob.cli.output import is_terminal, say, table, write_json

BAD = ("broken", "hangs", "ambiguous", "incompatible", "stale")


@click.group()
def plugins() -> None:
    """List and check what is installed."""


@plugins.command(
    "list",
    epilog="""\b
Examples:
  anyjob plugins list
  anyjob plugins list --json""",
)
@click.option("--timeout", default="10s", show_default=True, metavar="TIME", help="For hook plugins.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def list_(timeout: str, as_json: bool) -> None:
    """List what is installed and what it registers, by its metadata: no backend is imported.

    Hook plugins may register more names: they are imported, in a process of their own.
    """
    from anyjob.cli.importing import listing
    from anyjob.units import parse_duration

    hear_warnings()
    lines, missing = listing(registry(), parse_duration(timeout, what="--timeout"))
    if missing:
        say(f"warning: {missing}")
    lines.sort(key=lambda line: (line["distribution"] != "anyjob", line["distribution"], line["group"]))
    if as_json:
        write_json(lines)
        return
    columns = ["distribution", "version", "registers", "name", "state", "location"]
    rows = [
        [
            line["distribution"] or "(program)",
            line["version"],
            line["group"].removeprefix("anyjob."),
            line["name"],
            line["state"],
            line["location"],
        ]
        for line in lines
    ]
    if is_terminal(sys.stdout):  # which has no room for all the paths
        table(columns[:-1], [row[:-1] for row in rows], marks=BAD)
        for location in dict.fromkeys(line["location"] for line in lines if line["location"]):
            print(location)
    else:
        table(columns, rows, marks=BAD)
    _tell_why(lines, "state", "why")


def _tell_why(lines: list[dict[str, Any]], state: str, why: str) -> None:
    told = [line for line in lines if line[why] and line[state] != "ok"]
    if told:
        print()
    for line in told:
        print(f"{line['distribution']} {line['group']} {line['name']}: {line[state]}: {line[why]}")


@plugins.command(
    epilog="""\b
Examples:
  anyjob plugins check
  anyjob plugins check anyjob-slurm --timeout 1m"""
)
@click.argument("name", required=False)
@click.option("--timeout", default="30s", show_default=True, metavar="TIME", help="For each import.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def check(name: str | None, timeout: str, as_json: bool) -> None:
    """Import what is installed, each in a process of its own: it may hang there, or exit.

    NAME is a distribution, or a name that one registers.
    """
    from anyjob.cli.importing import check_all
    from anyjob.metadata import normalise
    from anyjob.units import parse_duration

    seconds = parse_duration(timeout, what="--timeout")
    listed = registry().listing(hooks=False)
    if name is not None:
        listed = [line for line in listed if name == line.name or normalise(name) == line.distribution]
        if not listed:
            raise click.UsageError(
                f"no installed distribution is called {name!r}, and none registers that name"
            )
    found = check_all(listed, seconds)
    if as_json:
        write_json(found)
    else:
        table(
            ["distribution", "version", "registers", "name", "state", "import ms"],
            (
                [
                    line["distribution"],
                    line["version"],
                    line["group"].removeprefix("anyjob."),
                    line["name"],
                    line["state"],
                    None if line["seconds"] is None else round(line["seconds"] * 1000),
                ]
                for line in found
            ),
            marks=BAD,
        )
        _tell_why(found, "state", "why")
    sys.exit(exits.FOUND if any(line["state"] in BAD for line in found) else exits.OK)
