"""``anyjob config``: what is configured, where, and what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from anyjob.cli import exit_codes
from anyjob.cli.context import open_session
from anyjob.cli.output import print_error, table, write_json, write_line
from anyjob.errors import AnyjobError, ConfigError
from anyjob.session.facade import Session


@click.group()
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
    """Show what holds, and where each value comes from. Secrets are not shown."""
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

    try:
        found = _type_of(session, entry)
    except AnyjobError:
        # Which of them are secrets, nobody can tell.
        return [".".join(path) for path, _ in leaves(dict(entry.options))]
    options_type = getattr(found, "Options", None)
    return secret_fields(options_type) if options_type is not None else ()


def _type_of(session: Session, entry: Any) -> Any:
    provider_entry = session.config.providers.get(entry.name)
    if provider_entry is not None and provider_entry is entry:
        return session.registry.provider(entry.type)
    provider, slash, _ = entry.type.partition("/")
    if not slash:
        return session.registry.backend(entry.type)
    known = session.config.providers.get(provider)
    return session.registry.provider(known.type if known else provider)


@config.command(
    epilog="""\b
Examples:
  anyjob config path
  anyjob config path --json"""
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def path(as_json: bool) -> None:
    """Show each file that is looked for, the weakest first, and whether it is there."""
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
    """Say all that is wrong: unknown keys, missing types, options that their types do not take.

    Imports the plugins of the backends that are configured, but makes no backend and reaches for none.
    """
    try:
        session = open_session()
        found, count = list(problems(session)), len(session.config.backends) + len(session.config.providers)
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


def problems(session: Session) -> Iterator[str]:
    """Yield all that is wrong with a configuration, in words."""
    configured = session.config
    for problem in configured.problems():
        yield str(problem)
    for group, entries in (("backends", configured.backends), ("providers", configured.providers)):
        for entry in entries.values():
            yield from _wrong_with(session, group, entry)
    try:
        name = configured.default_backend
    except ConfigError:
        return  # told above
    if name and name not in session.backend_names() and "/" not in name and ":" not in name:
        from anyjob.text.nearest import did_you_mean

        at = configured.origin("default_backend")
        near = did_you_mean(name, session.backend_names())
        yield f"{at}: default_backend: no backend is called {name!r}{near}"


def _wrong_with(session: Session, group: str, entry: Any) -> Iterator[str]:
    from anyjob.config.options import validate_options

    try:
        found = _type_of(session, entry)
    except AnyjobError as error:
        yield f"{entry.options.where('type')}: {error}"
        return
    if group == "backends" and "/" in entry.type:
        if entry.options:
            keys = ", ".join(repr(key) for key in entry.options)
            provider = entry.type.partition("/")[0]
            where = entry.options.where()
            yield f"{where}: the provider has the options: move {keys} to [providers.{provider}]"
        return
    options_type = getattr(found, "Options", None)
    try:
        if options_type is not None:
            validate_options(options_type, entry.options, skip=("backend_version",))
        else:
            from anyjob.config.secrets import from_config

            from_config(entry.options, entry.options.where)
    except ConfigError as error:
        yield from str(error).splitlines()
