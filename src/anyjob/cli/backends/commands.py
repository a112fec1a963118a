"""``anyjob backends``: the places that run work."""

from __future__ import annotations

from typing import Any

import click

from anyjob.cli.backends.description import describe_backend
from anyjob.cli.backends.listing import backend_lines, what_brings
from anyjob.cli.backends.option_lines import plain, print_options
from anyjob.cli.completion.completers import backend_names
from anyjob.cli.context import open_session
from anyjob.cli.lazy_group import LazyGroup
from anyjob.cli.terminal.output import print_message, table, write_json, write_line, write_text
from anyjob.registry.entry_points import PLUGINS


@click.group(
    cls=LazyGroup,
    lazy={
        "check": ("anyjob.testing.commands.backends:check", "Check a backend by short jobs on its engine.")
    },
)
def backends() -> None:
    """List, show and check the places that run work."""


@backends.command(
    "list",
    epilog="""\b
Examples:
  anyjob backends list
  anyjob backends list --all
  anyjob backends list --filter num_qubits=27 --filter operational=true --json""",
)
@click.option(
    "-a",
    "--all",
    "offered",
    is_flag=True,
    help="Also ask providers for what they offer, and other machines for what they have now.",
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only those with this value in configuration, properties or status; all are asked. Repeatable.",
)
@click.option(
    "--timeout",
    default="10s",
    show_default=True,
    metavar="TIME",
    help="Time limit for hook plugins, and for each that is asked.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def list_(offered: bool, filters: tuple[str, ...], timeout: str, as_json: bool) -> None:
    """List the configured backends, then the installed types. None of them is imported.

    Below a backend of another machine stands what that machine has, as it said last. Hook plugins may
    register more types: they are imported, in a process of their own. With --all, providers and other
    machines are asked, all at once; one that does not answer is named.
    """
    from anyjob.cli.backends.far_side import ask_machines, noted_there, rows_of
    from anyjob.cli.plugins.installed import listing
    from anyjob.text.units import parse_duration

    session, seconds = open_session(), parse_duration(timeout, what="--timeout")
    installed, missing = listing(session.registry, seconds)
    broken = [line["why"] for line in installed if line["group"] == PLUGINS and line["state"] == "broken"]
    for why in filter(None, [missing, *broken]):
        print_message(f"warning: {why}")
    paths = [each.configured_name for each in session.offers.backends(seconds)] if offered or filters else []
    lines = backend_lines(session, installed, paths)
    if filters:
        kept = {each.configured_name for each in session.backends(offered=True, **_attributes(filters))}
        lines = [line for line in lines if line["name"] in kept]
    if offered:
        ask_machines(session, seconds)
    for line in lines:
        if there := noted_there(session, line):
            line["there"] = there
    if as_json:
        write_json(lines)
        return
    rows = []
    for line in lines:
        default = "*" if line["default"] else ""
        rows.append([line["name"], line["type"], what_brings(line), line["origin"], default])
        rows += rows_of(line)
    table(["name", "type", "distribution", "from", "default"], rows)


def _attributes(texts: tuple[str, ...]) -> dict[str, Any]:
    from anyjob.cli.terminal.values import parse_pairs, parse_value

    return {key: parse_value(value) for key, value in parse_pairs(texts, "--filter").items()}


@backends.command(
    epilog="""\b
Examples:
  anyjob backends show hpc
  anyjob backends show processes --json"""
)
@click.argument("name", required=False, shell_complete=backend_names)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def show(name: str | None, as_json: bool) -> None:
    """Show a backend's options, where their values come from, and what it can do."""
    session = open_session()
    found = describe_backend(session, name or session.default_backend())
    if as_json:
        write_json(found)
        return
    write_line(f"{found['name']}: type {found['type']}, from {found['distribution'] or 'this program'}")
    if found["doc"]:
        write_text(f"\n{click.wrap_text(found['doc'].replace('``', ''), 80)}")
    write_text(f"\naccepts: {', '.join(found['accepts']) or 'what it is written for'}")
    capabilities = [key for key, value in found["capabilities"].items() if value]
    write_text(f"can: {', '.join(capabilities) or '-'}\n")
    for each in found["there"]:
        told = each["problem"] or f"accepts {', '.join(each['accepts'])}; can {', '.join(each['can']) or '-'}"
        which = f"{each['name']} (type {each['type']}): " if each["name"] else ""
        write_text(f"there: {which}{told}\n")
    print_options(found["options"])
    if found["gpus"]:
        write_text(f"\nGPUs that jobs may have: {', '.join(map(_gpu_in_words, found['gpus']))}")
    if found["memory_limit"]:
        write_text(f"\nmemory of jobs that ask for it: {found['memory_limit']['words']}")
    if found["set"]:
        pairs = ", ".join(f"{key} = {_as_written(key, value)}" for key, value in found["set"].items())
        write_text(f"\nset by `anyjob backends set`, in place of these: {pairs}")


@backends.command(
    "set",
    epilog="""\b
Examples:
  anyjob backends set laptop slots=3
  anyjob backends set laptop memory=8GiB
  anyjob backends set laptop resources='{"license": 2}'
  anyjob backends set laptop slots=""",
)
@click.argument("name", shell_complete=backend_names)
@click.argument("changes", nargs=-1, required=True, metavar="OPTION=VALUE...")
def set_(name: str, changes: tuple[str, ...]) -> None:
    """Change how much a backend may use for its jobs, while it is in use. OPTION= restores what is
    configured.

    Running jobs go on. The change holds for everybody who uses the backend, until it is changed again.
    """
    from anyjob.cli.terminal.values import parse_pairs, parse_value

    values = parse_pairs(changes, "backends set")
    backend = open_session().get_backend(name)
    if not hasattr(backend, "set_options"):
        raise click.UsageError(
            f"{name!r} has nothing that can be set while it is in use: change its "
            "configuration (`anyjob config path` says where that is)"
        )
    found = backend.set_options({key: parse_value(text) if text else None for key, text in values.items()})
    for key in values:
        value = found.get(key, getattr(backend.options, key))
        told = "not set" if value is None else f"= {_as_written(key, value)}"
        write_line(f"{name}: {key} {told}{'' if key in found else ', as configured'}")


def _as_written(option: str, value: Any) -> str:
    import json

    if option == "memory" and value:
        from anyjob.text.units import format_memory

        return format_memory(value)
    return json.dumps(plain(value), default=str)


def _gpu_in_words(gpu: dict[str, Any]) -> str:
    from anyjob.text.units import format_memory

    return f"{gpu['id']} ({format_memory(gpu['memory'])})" if gpu["memory"] else str(gpu["id"])
