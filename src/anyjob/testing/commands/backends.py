"""``anyjob backends check``."""

from __future__ import annotations

import sys

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion.completers import backend_names
from anyjob.cli.context import open_session
from anyjob.cli.terminal.output import write_json
from anyjob.testing.commands.backend_check import BackendCheck
from anyjob.testing.commands.backend_report import print_line, print_summary
from anyjob.text.units import parse_duration


@click.command(
    epilog="""\b
Examples:
  anyjob backends check
  anyjob backends check hpc --timeout 10m --limit 30m
  anyjob backends check hpc --quick --json"""
)
@click.argument("name", required=False, shell_complete=backend_names)
@click.option("--timeout", default="1m", show_default=True, metavar="TIME", help="For each of the jobs.")
@click.option(
    "--limit", default="5m", show_default=True, metavar="TIME", help="Begin no check later than this."
)
@click.option("--quick", is_flag=True, help="One job of each kind, and no more.")
@click.option(
    "--hooks", is_flag=True, help="Call the hooks of all plugins, as for other work; else only its own."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def check(name: str | None, timeout: str, limit: str, quick: bool, hooks: bool, as_json: bool) -> None:
    """Check a backend as it is configured, by short and harmless jobs on its real engine.

    First whether it runs one job of each kind: a program, a call, and what kinds of work bring to try
    it with; then whether it keeps what backends promise, by
    those checks of the conformance kit that are short and safe. Its jobs are called anyjob-check. What
    has not ended with its check is cancelled, on Ctrl-C too; the jobs of promises that are kept are
    forgotten, and those of broken ones stay: anyjob jobs --name anyjob-check.
    """
    seconds = parse_duration(timeout, what="--timeout")
    most = 0.0 if quick else parse_duration(limit, what="--limit")
    session = open_session()
    name = name or session.default_backend()
    report = (lambda line: None) if as_json else print_line
    backend_check = BackendCheck(session, name, seconds, most, report, hooks=hooks)
    try:
        backend_check.run()
    finally:
        session.close()
    if as_json:
        write_json(
            {
                "backend": name,
                "ok": backend_check.ok,
                "checks": backend_check.checks,
                "promises": backend_check.promises,
            }
        )
    else:
        print_summary(backend_check.promises)
    if backend_check.interrupted is not None:
        sys.exit(exit_codes.SIGNALLED + backend_check.interrupted)
    sys.exit(exit_codes.OK if backend_check.ok else exit_codes.FOUND)
