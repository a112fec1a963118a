"""``anyjob config``: what is configured, where, and what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from anyjob.backend import options_type
from anyjob.cli import exit_codes
from anyjob.cli.context import open_session
from anyjob.cli.output import print_error, table, write_json, write_line
from anyjob.errors import AnyjobError, ConfigError
from anyjob.provider import backend_options
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
        declared = declared_options(session, entry)
    except AnyjobError:
        # Which of them are secrets, nobody can tell.
        return [".".join(path) for path, _ in leaves(dict(entry.options))]
    return secret_fields(declared) if declared is not None else ()


def declared_options(session: Session, entry: Any) -> Any:
    """Return the msgspec struct with the options that an entry may have; None where nothing tells.

    Raises:
        PluginError: its type is not installed, or cannot be used.
    """
    is_provider = session.config.providers.get(entry.name) is entry
    if is_provider:
        return options_type(session.registry.provider(entry.type))
    if "/" in entry.type:
        return provider_type(session, entry.type).BackendOptions
    return options_type(session.registry.backend(entry.type))


def provider_type(session: Session, kind: str) -> Any:
    """Return the class of the provider that ``PROVIDER/BACKEND`` comes from.

    Raises:
        PluginError: it is not installed, or cannot be used.
    """
    account = kind.partition("/")[0]
    entry = session.config.providers.get(account)
    return session.registry.provider(entry.type if entry else account)


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
    from anyjob.config.secrets import from_config

    try:
        declared = declared_options(session, entry)
    except AnyjobError as error:
        yield f"{entry.options.where('type')}: {error}"
        return
    try:
        if group == "backends" and "/" in entry.type:
            of_provider = _options_of_provider(session, entry)
            account = entry.type.partition("/")[0]
            found = provider_type(session, entry.type)
            backend_options(found, of_provider, account, entry.name, entry.options)
        elif declared is not None:
            validate_options(declared, entry.options, skip=("backend_version",))
        else:
            from_config(entry.options, entry.options.where)
    except ConfigError as error:
        yield from str(error).splitlines()


def _options_of_provider(session: Session, entry: Any) -> Any:
    """The options of a provider, as far as they are right: its backends have them where they do not say."""
    from anyjob.config.options import validate_options

    account = session.config.providers.get(entry.type.partition("/")[0])
    declared = options_type(provider_type(session, entry.type))
    try:
        return None if declared is None else validate_options(declared, account.options if account else {})
    except ConfigError:
        return None  # told of the provider itself
