"""``anyjob config``: what is configured, where, and what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from anyjob.cli import exit_codes
from anyjob.cli.context import open_session
from anyjob.cli.lazy_group import LazyGroup
from anyjob.cli.terminal.output import print_error, table, write_json, write_line
from anyjob.errors import AnyjobError, ConfigError
from anyjob.session.facade import Session


@click.group(cls=LazyGroup)
def config() -> None:
    """Show and check the configuration."""


@config.command(
    epilog="""\b
Examples:
  anyjob config show
  anyjob config show --json"""
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def show(as_json: bool) -> None:
    """Show the configuration in force, and where each value comes from. Secrets are not shown."""
    session = open_session()
    values = session.config.to_dict(secret_keys=lambda entry: secret_keys(session, entry))
    lines = [
        {"key": ".".join(path), "value": value, "origin": str(session.config.origin(path) or "")}
        for path, value in leaves(values)
    ]
    if as_json:
        write_json(lines)
    else:
        table(["key", "value", "from"], ([line["key"], line["value"], line["origin"]] for line in lines))


def leaves(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the values that are no tables, each with its keys; and the tables that are empty."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def secret_keys(session: Session, entry: Any) -> Iterable[str]:
    """Return the keys of an entry to be hidden: the secrets of its type; all, where that is not known."""
    from anyjob.config.options import secret_fields
    from anyjob.session.backends.config_check import declared_options

    try:
        declared = declared_options(session, entry)
    except AnyjobError:
        # Which of them are secrets, nobody can tell.
        return [".".join(path) for path, _ in leaves(dict(entry.options))]
    return secret_fields(declared) if declared is not None else ()


@config.command(
    epilog="""\b
Examples:
  anyjob config path
  anyjob config path --json"""
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def path(as_json: bool) -> None:
    """Show each file that is looked for, and whether it is there; a later one overrides an earlier one."""
    lines = [
        {"layer": layer.name, "file": layer.file, "found": layer.found, "note": layer.note}
        for layer in open_session().config.layers()
        if layer.file is not None
    ]
    if as_json:
        write_json(lines)
        return
    table(
        ["layer", "file", "found", "note"],
        ([line["layer"], line["file"], line["found"], line["note"]] for line in lines),
    )


@config.command(
    epilog="""\b
Examples:
  anyjob config check && anyjob run sweep.toml"""
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def check(as_json: bool) -> None:
    """Report all that is wrong: unknown keys, missing types, options that types do not take, unset secrets.

    Imports the plugins of the configured backends, but makes no backend and connects to none.
    """
    try:
        session = open_session()
        found, count = session.check(), len(session.config.backends) + len(session.config.providers)
    except ConfigError as error:
        found, count = [str(error)], 0
    if as_json:
        write_json({"ok": not found, "problems": found})
    elif not found:
        write_line(f"no problems in {count} configured " + ("entry" if count == 1 else "entries"))
    else:
        for problem in found:
            print_error(problem)
    sys.exit(exit_codes.FOUND if found else exit_codes.OK)
