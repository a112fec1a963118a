"""The commands ``anyjob doctor`` and ``anyjob version``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from anyjob.cli import exit_codes
from anyjob.cli.doctor import installation, machine, state
from anyjob.cli.doctor.findings import PROBLEM, WARNING, Finding
from anyjob.cli.terminal.output import write_json, write_line
from anyjob.errors import in_words
from anyjob.ledger.file.statedir import default_state


@click.command(
    epilog="""\b
Examples:
  anyjob doctor
  anyjob doctor --json > doctor.json"""
)
@click.option(
    "--timeout",
    default="10s",
    show_default=True,
    metavar="TIME",
    help="Time limit for each backend, and for plugins.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def doctor(timeout: str, as_json: bool) -> None:
    """Look for whatever keeps anyjob from working, and say what is wrong. Runs no job.

    Looks at Python and its libraries, the state directory and its file system, daemons, configuration,
    plugins, each configured backend, limits and the clock. The output holds no values of options, and can be
    pasted into a bug report. Plugins are imported, and backends asked, in processes of their own and with a
    time limit. The exit code is 1 where there is a problem.
    """
    from anyjob.text.units import parse_duration

    seconds = parse_duration(timeout, what="--timeout")
    found = []
    section = ""
    for finding in look(default_state(), seconds):
        found.append(finding)
        if not as_json:
            if finding.section != section:
                section = finding.section
                write_line(f"{section}:")
            _write(finding)
    bad = [finding for finding in found if finding.state == PROBLEM]
    if as_json:
        write_json({"ok": not bad, "findings": [finding._asdict() for finding in found]})
    else:
        warnings = sum(finding.state == WARNING for finding in found)
        write_line(f"{_many(len(bad), 'problem')}, {_many(warnings, 'warning')}")
    sys.exit(exit_codes.FOUND if bad else exit_codes.OK)


def _many(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def look(directory: Path, timeout: float) -> Iterator[Finding]:
    """Yield all that is found, section by section; what cannot be looked at is a finding, too."""
    sections = (
        ("versions", machine.versions),
        ("state", lambda: state.directory(directory)),
        ("state", lambda: state.ledger(directory)),
        ("daemons", lambda: state.daemons(directory)),
        ("configuration", lambda: installation.configuration(timeout)),
        ("plugins", lambda: installation.plugins(timeout)),
        ("backends", lambda: installation.backends(timeout)),
        ("limits", lambda: machine.limits(directory)),
        ("clock", machine.clock),
    )
    for name, section in sections:
        try:
            yield from section()
        except Exception as error:  # the others are looked at
            yield Finding(name, "looking at it", f"fails: {in_words(error)}", PROBLEM, "report it")


def _write(finding: Finding) -> None:
    mark = {PROBLEM: "! ", WARNING: "? "}.get(finding.state, "  ")
    first, *rest = finding.value.splitlines() or [""]
    write_line(f"{mark}{finding.what}: {first}")
    for line in rest:
        write_line(f"    {line}")
    if finding.way_out:
        write_line(f"    -> {finding.way_out}")


@click.command(
    epilog="""\b
Examples:
  anyjob version
  anyjob version --json"""
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def version(as_json: bool) -> None:
    """Show the versions of anyjob, its libraries, formats and protocols, and of Python."""
    found = dict(_versions(machine.versions()))
    if as_json:
        write_json(found)
        return
    width = max(map(len, found))
    for name, value in found.items():
        write_line(f"{name:<{width}}  {value}")


def _versions(libraries: Iterable[Finding]) -> Iterator[tuple[str, str]]:
    from anyjob.builtin.local.ipc.protocol import CLIENT_PROTOCOL, KEEPER_PROTOCOL
    from anyjob.ledger.file.schema import VERSION

    for finding in libraries:
        yield finding.what, finding.value
    yield "ledger", str(VERSION)
    yield "protocols of local", f"{CLIENT_PROTOCOL} (clients), {KEEPER_PROTOCOL} (keeper)"
