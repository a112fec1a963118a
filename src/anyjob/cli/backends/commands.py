"""``anyjob backends``: the places that run work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from anyjob.backend import Capabilities, options_type
from anyjob.cli.completers import backend_names
from anyjob.cli.context import open_session
from anyjob.cli.lazy_group import LazyGroup
from anyjob.cli.terminal.output import print_message, table, write_json, write_line, write_text
from anyjob.errors import AnyjobError, UnknownNameError
from anyjob.registry.entry_points import BACKENDS, PLUGINS, PROVIDERS
from anyjob.registry.metadata import normalise
from anyjob.session.facade import Session

_USABLE = ("ok", "ambiguous")


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
    help="Those, too, that providers offer, and what other machines have now: they are asked.",
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="With this value in its configuration, properties or status; makes and asks them all. Repeatable.",
)
@click.option(
    "--timeout",
    default="10s",
    show_default=True,
    metavar="TIME",
    help="For hook plugins, and whoever is asked.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def list_(offered: bool, filters: tuple[str, ...], timeout: str, as_json: bool) -> None:
    """List the configured backends, then the installed types. Imports none of them.

    Below a backend of another machine stands what that one has, as it has said last. Hook plugins may
    register more types: they are imported, in a process of their own. With --all, providers are asked for
    what they offer, and machines for what they have, at once; one that does not answer is named.
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


def backend_lines(
    session: Session, installed: list[dict[str, str]], paths: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return a line for each name that `get_backend` takes.

    Args:
        session: where backends are configured.
        installed: the lines of `Registry.listing`.
        paths: what providers offer, as ``PROVIDER/BACKEND``.
    """
    default = session.default_backend()
    usable = (line for line in installed if line["group"] == BACKENDS and line["state"] in _USABLE)
    lines = []
    paths = [default, *paths] if "/" in default else paths
    types = sorted(line["name"] for line in usable)
    for name in dict.fromkeys([*session.config.backends, *types, *paths]):
        entry = session.config.backends.get(name)
        kind = entry.type if entry else name
        provider, slash, _ = kind.partition("/")
        if slash:
            known = session.config.providers.get(provider)
            origin = origin_of(installed, PROVIDERS, known.type if known else provider)
        else:
            origin = origin_of(installed, BACKENDS, kind)
        lines.append(
            {
                "name": name,
                "type": kind,
                "configured": entry is not None,
                "distribution": origin["distribution"] if origin else None,
                "version": origin["version"] if origin else None,
                "origin": str(entry.origins[""]) if entry else "its provider" if slash else "installed",
                "default": name == default,
            }
        )
    return lines


def origin_of(installed: list[dict[str, str]], group: str, name: str) -> dict[str, str] | None:
    """Return the line of who answers to a name, if one does; imports no hook plugins for it."""
    distribution, _, rest = name.partition(":")
    picked = rest, normalise(distribution)
    for line in installed:
        if line["group"] != group or line["state"] not in _USABLE:
            continue
        if (line["name"], line["distribution"]) == picked or (line["name"], line["state"]) == (name, "ok"):
            return line
    return None


def what_brings(line: dict[str, Any]) -> str:
    """Return the distribution of a line of a listing, with its version."""
    return f"{line['distribution']} {line['version']}" if line["distribution"] else "not found"


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
    """Change how much a backend has for its jobs while it is in use; OPTION= is what is configured, again.

    What runs runs on. It holds for all who use the backend, until it is set anew.
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
    return json.dumps(_plain(value), default=str)


def print_options(lines: list[dict[str, Any]]) -> None:
    """Write what `option_lines` gives as a table."""
    table(
        ["option", "value", "from", "takes", "for"],
        (
            [
                each["name"],
                each["value"] if each["set"] else each["default"],
                each["origin"] or ("missing" if each["required"] else "default"),
                each["type"],
                each["doc"],
            ]
            for each in lines
        ),
    )


def describe_backend(session: Session, name: str) -> dict[str, Any]:
    """Return what can be said of a backend, also where it cannot be made; secrets are masked."""
    from anyjob.cli.backends.far_side import offers_there
    from anyjob.session.backends.config_check import provider_type

    entry = session.config.entry("backends", name)
    kind = entry.type if entry else name
    account, slash, _ = kind.partition("/")
    known = session.config.entry("providers", account) if slash else None
    if slash:
        found: type[Any] = type(session.get_backend(name))
        of_provider = provider_type(session, kind)
        reference = session.registry.origin(PROVIDERS, known.type if known else account)
        shared = option_lines(session, known, options_type(of_provider), "providers")
        own = option_lines(session, entry, of_provider.BackendOptions)
        options = [as_provider(each, shared) for each in own]
        options += [{**each, "name": f"providers.{account}.{each['name']}"} for each in shared]
    else:
        try:
            found = session.registry.backend(kind)
        except UnknownNameError:
            session.get_backend(name)  # whose error names what is configured, too
            raise
        reference = session.registry.origin(BACKENDS, kind)
        options = option_lines(session, entry, options_type(found))
    there = offers_there(session, name)  # by which it is known what it can do
    return {
        "name": name,
        "type": kind,
        "provider": account if slash else None,
        "distribution": str(reference.source) if reference and reference.distribution else None,
        "class": f"{found.__module__}.{found.__qualname__}",
        "doc": " ".join((found.__doc__ or "").strip().partition("\n\n")[0].split()),
        "accepts": sorted(getattr(found, "accepts", ())),
        "capabilities": _capabilities(session, name, found).to_dict(),
        "there": there,
        "options": options,
        "set": _ask(session, name, "set_now") or {},
        "gpus": _ask(session, name, "find_gpus") or [],
    }


def _ask(session: Session, name: str, what: str) -> Any:
    """Ask a backend what not each can tell; None where it cannot, or cannot be made."""
    try:
        backend = session.get_backend(name)
        return getattr(backend, what)() if hasattr(backend, what) else None
    except AnyjobError:
        return None


def _gpu_in_words(gpu: dict[str, Any]) -> str:
    from anyjob.text.units import format_memory

    return f"{gpu['id']} ({format_memory(gpu['memory'])})" if gpu["memory"] else str(gpu["id"])


def _capabilities(session: Session, name: str, found: Any) -> Capabilities:
    """What the backend as configured can do; what its class says, where it cannot be made."""
    try:
        capabilities: Capabilities = session.get_backend(name).capabilities
    except AnyjobError:
        capabilities = found.capabilities
    return capabilities


def option_lines(
    session: Session, entry: Any, declared: Any, group: str = "backends"
) -> list[dict[str, Any]]:
    """Return the options of a table, and those that it might have; secrets are masked.

    Args:
        session: where it is configured.
        entry: the backend or provider; None where it is not configured.
        declared: what tells which options it may have; None where nothing does.
        group: where the table is: ``backends`` or ``providers``.
    """
    from anyjob.config.options import OptionInfo, describe, secret_fields

    infos = describe(declared) if declared is not None else []
    values: dict[str, Any] = {}
    if entry is not None:
        secrets = secret_fields(declared) if declared is not None else ()
        masked = session.config.to_dict(secret_keys=lambda each: secrets if each is entry else ())
        values = {key: value for key, value in masked[group][entry.name].items() if key != "type"}
    unknown = [key for key in values if key not in {info.name for info in infos}]
    infos += [
        OptionInfo(key, "anything" if declared is None else "unknown option", False, None, "")
        for key in unknown
    ]
    return [
        {
            "name": info.name,
            "type": info.type,
            "required": info.required,
            "default": _plain(info.default),
            "doc": info.doc,
            "set": info.name in values,
            "value": values.get(info.name),
            "origin": str(entry.origins[info.name]) if entry and info.name in entry.origins else None,
        }
        for info in infos
    ]


def as_provider(option: dict[str, Any], shared: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an option of one backend of a provider, which is as the provider has it if it is not set."""
    for each in shared if not option["set"] else ():
        if each["name"] == option["name"]:
            same = ("set", "value", "default", "origin", "required")
            return option | {key: each[key] for key in same}
    return option


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, list, dict, type(None))) else str(value)
