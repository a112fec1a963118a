"""``anyjob logs``: what a job has written, or writes."""

from __future__ import annotations

import sys
import threading
from typing import Any, TextIO

import click

from anyjob.cli import exits
from anyjob.cli.context import session
from anyjob.cli.jobs.selection import one_job
from anyjob.cli.output import fail, leave_pipe, say
from anyjob.cli.run.streaming import Pump, StateLine


@click.command(
    epilog="""\b
Examples:
  anyjob logs 3f2a91c
  anyjob logs -f 3f2a91c
  anyjob logs --stderr 3f2a91c | grep -i warning"""
)
@click.argument("job_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@click.option("--stdout", "stream", flag_value="stdout", help="Only that.")
@click.option("--stderr", "stream", flag_value="stderr", help="Only that, to stdout.")
@click.option("--both", "stream", flag_value="both", default=True, help="Each to its own; the default.")
def logs(job_id: str, follow: bool, stream: str) -> None:
    """Show what a job has written to stdout and stderr, byte for byte.

    With -f, also what it will write; Ctrl-C leaves, and the job goes on.
    """
    both = {"stdout": sys.stdout, "stderr": sys.stderr}
    targets = both if stream == "both" else {stream: sys.stdout}  # what was asked for is the output
    with session() as ours:
        job = one_job(ours, job_id)
        if not job.backend().capabilities.logs:
            fail(f"backend {job.backend()!s} keeps nothing of what its jobs write")
            sys.exit(exits.FAILED)
        code = _follow(job, targets) if follow else _copy(job, targets)
    sys.exit(code)


def _copy(job: Any, targets: dict[str, TextIO]) -> int:
    for stream, target in targets.items():
        target.flush()
        for chunk in job.log_bytes(stream):
            target.buffer.write(chunk)
        target.buffer.flush()
    return exits.OK


def _follow(job: Any, targets: dict[str, TextIO]) -> int:
    """Pass on what the job writes until it has ended, or nobody reads that any more."""
    over = threading.Event()
    line = StateLine()
    pump = Pump(line, over.set, targets)

    def finish() -> None:
        pump.finish()
        over.set()

    pump.start(job)
    threading.Thread(target=finish, name="anyjob-logs", daemon=True).start()
    try:
        over.wait()
    except KeyboardInterrupt:
        say(f"job {job.job_id()} goes on: `anyjob logs -f` follows it again")
        sys.exit(exits.INTERRUPTED)
    if pump.is_broken:
        leave_pipe()
        return exits.BROKEN_PIPE
    if pump.problem is not None:
        fail(f"what the job writes cannot be passed on: {pump.problem}")
        return exits.FAILED
    return exits.OK
