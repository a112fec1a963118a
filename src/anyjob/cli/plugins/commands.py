"""``anyjob plugins``: what is installed, and whether it can be imported."""

from __future__ import annotations

import sys

import click

from anyjob.cli.context import registry, show_warnings
from anyjob.cli.lazy_group import LazyGroup
from anyjob.cli.terminal.output import is_terminal, print_message, table, write_json, write_line

BAD = ("broken", "ambiguous", "incompatible", "stale")


@click.group(
    cls=LazyGroup,
    lazy={
        "check": ("anyjob.testing.commands.plugins:check", "Check what is installed, by importing it apart.")
    },
)
def plugins() -> None:
    """List and check what is installed."""


@plugins.command(
    "list",
    epilog="""\b
Examples:
  anyjob plugins list
  anyjob plugins list --json""",
)
@click.option(
    "--timeout", default="10s", show_default=True, metavar="TIME", help="Time limit for hook plugins."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def list_(timeout: str, as_json: bool) -> None:
    """List what is installed and what it registers, from its metadata. No backend is imported.

    Hook plugins may register more names: they are imported, in a process of their own.
    """
    from anyjob.cli.plugins.installed import listing
    from anyjob.text.units import parse_duration

    show_warnings()
    lines, missing = listing(registry(), parse_duration(timeout, what="--timeout"))
    if missing:
        print_message(f"warning: {missing}")
    lines.sort(key=lambda line: (line["distribution"] != "anyjob", line["distribution"], line["group"]))
    if as_json:
        write_json(lines)
        return
    (_draw if is_terminal(sys.stdout) else _print)(lines)


def _print(lines: list[dict[str, str]]) -> None:
    """In a pipe: a line for each name, then one for each that does not answer."""
    columns = ["distribution", "version", "registers", "name", "state", "location"]
    table(columns, ([*_cells(line), _place(line)] for line in lines))
    wrong = [line for line in lines if line["why"] and line["state"] != "ok"]
    if wrong:
        write_line("")
    for line in wrong:
        about = " ".join(filter(None, (line["distribution"], line["group"], line["name"])))
        write_line(f"{about}: {line['state']}: {line['why']}")


def _draw(lines: list[dict[str, str]]) -> None:
    """On a terminal, which has no room for a path in each line: what each is, where it is, what is wrong."""
    from anyjob.cli.terminal.paragraphs import heading, paragraph

    shown: list[list[str]] = []
    before = ""
    for line in lines:
        cells = _cells(line)
        shown.append(["", "", *cells[2:]] if line["location"] == before else cells)
        before = line["location"]
    table(["distribution", "version", "registers", "name", "state"], shown, marks=BAD)
    places = {line["location"]: line for line in lines if line["location"]}.values()
    names = [f"{line['distribution']} {line['version']}" for line in places]
    for name, line in zip(names, places, strict=True):
        write_line(f"{name:<{max(map(len, names))}}  {_place(line)}")
    reasons: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        if line["why"] and line["state"] != "ok":
            name = f"{line['group'].removeprefix('anyjob.')} {line['name']}".strip() or line["distribution"]
            reasons.setdefault((line["state"], line["why"]), []).append(name)
    if reasons:
        heading("Not all of these answer to their names")
    for (state, why), names in reasons.items():
        paragraph(state, f"{', '.join(dict.fromkeys(names))}: {why}", indent=15)


def _cells(line: dict[str, str]) -> list[str]:
    registers = line["group"].removeprefix("anyjob.")
    old = f", now {line['renamed']}" if line["renamed"] else ", deprecated" if line["deprecated"] else ""
    state = line["state"] + old
    return [line["distribution"] or "(program)", line["version"], registers, line["name"], state]


def _place(line: dict[str, str]) -> str:
    return f"{line['editable']} (editable)" if line["editable"] else line["location"]
