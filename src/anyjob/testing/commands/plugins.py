"""``anyjob plugins check``."""

from __future__ import annotations

import sys

import click

from anyjob.cli import exit_codes
from anyjob.cli.app import COMMANDS
from anyjob.cli.context import registry
from anyjob.cli.terminal.output import write_json
from anyjob.registry.metadata import normalise
from anyjob.testing.commands.plugin_report import print_reports
from anyjob.testing.diagnosis.reports import check_all
from anyjob.text.suggestions import nearest
from anyjob.text.units import parse_duration


@click.command(
    epilog="""\b
Examples:
  anyjob plugins check
  anyjob plugins check anyjob-slurm --timeout 1m
  anyjob plugins check --strict --json"""
)
@click.argument("name", required=False)
@click.option("--timeout", default="30s", show_default=True, metavar="TIME", help="For each import.")
@click.option("--strict", is_flag=True, help="Take warnings for errors.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def check(name: str | None, timeout: str, strict: bool, as_json: bool) -> None:
    """Check what is installed: what it declares, and by importing it in processes of their own.

    NAME is a distribution, or a name that one registers; without, all are checked. Exits with 1 where
    there is an error; notes and, without --strict, warnings do not count.
    """
    seconds = parse_duration(timeout, what="--timeout")
    listed = registry().listing(hooks=False)
    if name is not None:
        wanted = {line.distribution for line in listed if name == line.name} | {normalise(name)}
        known = {each for line in listed for each in (line.distribution, line.name)}
        listed = [line for line in listed if line.distribution in wanted]
        if not listed:
            near = nearest(name, sorted(known))
            raise click.UsageError(
                f"no installed distribution is called {name!r}, and none registers that name"
                + (f"; did you mean {near!r}?" if near else "")
            )
    reports = check_all(listed, seconds, commands=list(COMMANDS))
    if as_json:
        write_json([report.to_dict() for report in reports])
    else:
        print_reports(reports)
    sys.exit(exit_codes.FOUND if any(report.failed(strict=strict) for report in reports) else exit_codes.OK)
