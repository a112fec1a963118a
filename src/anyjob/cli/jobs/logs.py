"""``anyjob logs``: what a job has written, or writes."""

from __future__ import annotations

import sys
import threading
from typing import Any, TextIO

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion.completers import job_ids
from anyjob.cli.context import open_session
from anyjob.cli.jobs.selection import find_job
from anyjob.cli.run.streaming import OutputForwarder, StatusLine
from anyjob.cli.terminal.output import print_error, print_message


@click.command(
    epilog="""\b
Examples:
  anyjob logs 3f2a91c
  anyjob logs -f 3f2a91c
  anyjob logs --attempt 1 3f2a91c
  anyjob logs --stderr 3f2a91c | grep -i warning"""
)
@click.argument("job_id", metavar="ID|NAME", shell_complete=job_ids)
@click.option("-f", "--follow", is_flag=True, help="Follow it until the job has ended.")
@click.option("--stdout", "stream", flag_value="stdout", help="Only stdout.")
@click.option("--stderr", "stream", flag_value="stderr", help="Only stderr, written to stdout.")
@click.option(
    "--attempt",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of this attempt; by default the last. With -f, also of those after it.",
)
@click.option(
    "--both", "stream", flag_value="both", default=True, help="Each stream to its own; the default."
)
def logs(job_id: str, follow: bool, stream: str, attempt: int | None) -> None:
    """Show what a job has written to stdout and stderr, byte for byte.

    Of a job that was run again, the output of its last attempt is shown; --attempt picks another one. With
    -f, also what it will write; Ctrl-C leaves, and the job goes on.
    """
    both = {"stdout": sys.stdout, "stderr": sys.stderr}
    targets = both if stream == "both" else {stream: sys.stdout}  # what was asked for is the output
    with open_session() as session:
        job = find_job(session, job_id)
        if not job.backend().capabilities.logs:
            print_error(f"backend {job.backend()!s} keeps nothing of what its jobs write")
            sys.exit(exit_codes.FAILED)
        code = _follow(job, targets, attempt) if follow else _copy(job, targets, attempt)
    sys.exit(code)


def _copy(job: Any, targets: dict[str, TextIO], attempt: int | None) -> int:
    for stream, target in targets.items():
        target.flush()
        for chunk in job.log_bytes(stream, attempt=attempt):
            target.buffer.write(chunk)
        target.buffer.flush()
    return exit_codes.OK


def _follow(job: Any, targets: dict[str, TextIO], attempt: int | None) -> int:
    """Pass on what the job writes until it has ended, or nobody reads that any more."""
    over = threading.Event()
    line = StatusLine()
    forwarder = OutputForwarder(line, over.set, targets, attempt)

    def finish() -> None:
        forwarder.finish()
        over.set()

    forwarder.start(job)
    threading.Thread(target=finish, name="anyjob-logs", daemon=True).start()
    try:
        while not over.wait(1):
            pass  # a signal that comes when a wait is about to begin is not seen before that ends
    except KeyboardInterrupt:
        print_message(f"job {job.job_id()} goes on: `anyjob logs -f` follows it again")
        sys.exit(exit_codes.INTERRUPTED)
    return forwarder.exit_code()
