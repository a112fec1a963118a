"""``anyjob providers``: the accounts and clusters that offer backends."""

from __future__ import annotations

import sys
from typing import Any

import click

from anyjob.cli import exit_codes
from anyjob.cli.backends.listing import origin_of, what_brings
from anyjob.cli.backends.option_lines import as_provider, option_lines, origin_and_class, print_options
from anyjob.cli.context import open_session
from anyjob.cli.lazy_group import LazyGroup
from anyjob.cli.terminal.output import print_message, table, write_json, write_line, write_text
from anyjob.config.construction import options_type
from anyjob.errors import AnyjobError
from anyjob.registry.entry_points import PROVIDERS
from anyjob.session.facade import Session


@click.group(cls=LazyGroup)
def providers() -> None:
    """List, show and check the accounts and clusters that offer backends."""


@providers.command(
    "list",
    epilog="""\b
Examples:
  anyjob providers list
  anyjob providers list --json""",
)
@click.option(
    "--timeout", default="10s", show_default=True, metavar="TIME", help="Time limit for hook plugins."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def list_(timeout: str, as_json: bool) -> None:
    """List the configured providers, then the installed types. None of them is imported, or asked."""
    from anyjob.cli.plugins.installed import listing
    from anyjob.text.units import parse_duration

    session = open_session()
    installed, missing = listing(session.registry, parse_duration(timeout, what="--timeout"))
    if missing:
        print_message(f"warning: {missing}")
    configured = session.config.providers
    types = sorted(line["name"] for line in installed if line["group"] == PROVIDERS and line["state"] == "ok")
    lines = []
    for name in dict.fromkeys([*configured, *types]):
        entry = configured.get(name)
        origin = origin_of(installed, PROVIDERS, entry.type if entry else name)
        lines.append(
            {
                "name": name,
                "type": entry.type if entry else name,
                "configured": entry is not None,
                "distribution": origin["distribution"] if origin else None,
                "version": origin["version"] if origin else None,
                "origin": str(entry.origins[""]) if entry else "installed",
            }
        )
    if as_json:
        write_json(lines)
        return
    columns = ["name", "type", "distribution", "from"]
    table(columns, ([line["name"], line["type"], what_brings(line), line["origin"]] for line in lines))


@providers.command(
    epilog="""\b
Examples:
  anyjob providers show ibm
  anyjob providers show ibm --json"""
)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def show(name: str, as_json: bool) -> None:
    """Show a provider's options, where their values come from, and those of its backends. It is not asked."""
    session = open_session()
    entry = session.config.entry("providers", name)
    kind = entry.type if entry else name
    try:
        found = session.registry.provider(kind)
    except AnyjobError:
        session.get_provider(name)  # whose error names what is configured, too
        raise
    reference = session.registry.origin(PROVIDERS, kind)
    options = option_lines(session, entry, options_type(found), "providers")
    own = option_lines(session, None, found.BackendOptions)
    shown: dict[str, Any] = {
        "name": name,
        "type": kind,
        **origin_and_class(reference, found),
        "options": options,
        "backend_options": [as_provider(each, options) for each in own],
    }
    if as_json:
        write_json(shown)
        return
    write_line(f"{name}: type {kind}, from {shown['distribution'] or 'this program'}")
    if shown["doc"]:
        write_text(f"\n{click.wrap_text(shown['doc'].replace('``', ''), 80)}")
    write_line("")
    print_options(shown["options"])
    if shown["backend_options"]:
        write_text('\nof each backend, in [backends.…] with type = "' + name + '/…":\n')
        print_options(shown["backend_options"])


@providers.command(
    epilog="""\b
Examples:
  anyjob providers check
  anyjob providers check ibm --timeout 1m --json"""
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--timeout", default="30s", show_default=True, metavar="TIME", help="Time limit for each provider."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def check(names: tuple[str, ...], timeout: str, as_json: bool) -> None:
    """Ask providers for their backends, and each backend for its status: all configured providers, or these.

    They are asked at the same time. The exit code is 1 where a provider, or a backend of it, does not
    answer.
    """
    from anyjob.text.units import parse_duration

    session = open_session()
    with session:
        found = checked(
            session, names or tuple(session.config.providers), parse_duration(timeout, what="--timeout")
        )
    if as_json:
        write_json(found)
    elif not found:
        write_line("no provider is configured: `anyjob providers list` shows the types that are installed")
    else:
        table(
            ["provider", "backend", "state", "pending", "message"],
            (
                [
                    each["provider"],
                    each["backend"],
                    each["state"],
                    each["pending"],
                    " ".join(each["message"].split()),
                ]
                for each in found
            ),
            marks=("failed", "offline"),
        )
    sys.exit(exit_codes.FOUND if any(each["state"] == "failed" for each in found) else exit_codes.OK)


def checked(session: Session, names: tuple[str, ...], timeout: float) -> list[dict[str, Any]]:
    """Return a line for each backend of these providers, and for each provider that does not answer."""
    from anyjob.session.providers.offers import at_once, offered_by

    offered = at_once(lambda name: offered_by(session, name), names, timeout)
    backends = {
        f"{name}/{each.name()}": each
        for name, answer in offered.items()
        if not isinstance(answer, Exception)
        for each in answer
    }
    statuses = at_once(lambda name: backends[name].status(), backends, timeout)
    lines = [_line(name, "", answer) for name, answer in offered.items() if isinstance(answer, Exception)]
    lines += [_line(*name.partition("/")[::2], status) for name, status in statuses.items()]
    lines += [_line(name, "", None) for name, answer in offered.items() if answer == []]
    return sorted(lines, key=lambda line: names.index(line["provider"]))


def _line(provider: str, backend: str, told: Any) -> dict[str, Any]:
    line = {"provider": provider, "backend": backend, "state": "ok", "pending": None, "message": ""}
    if isinstance(told, Exception):
        text = str(told) if isinstance(told, AnyjobError) else f"{type(told).__name__}: {told}"
        return line | {"state": "failed", "message": text}
    if told is None:
        return line | {"message": "it offers no backends"}
    state = "ok" if getattr(told, "operational", True) else "offline"
    message = str(getattr(told, "status_msg", "") or "")
    return line | {"state": state, "pending": getattr(told, "pending_jobs", None), "message": message}
