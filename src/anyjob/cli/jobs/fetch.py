"""``anyjob fetch``: the files that a job has left."""

from __future__ import annotations

import sys

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion.completers import job_ids
from anyjob.cli.context import open_session
from anyjob.cli.jobs.selection import find_job
from anyjob.cli.terminal.output import print_error, write_line


@click.command(
    epilog="""\b
Examples:
  anyjob fetch 3f2a91c model.npz
  anyjob fetch 3f2a91c --into results"""
)
@click.argument("job_id", metavar="ID|NAME", shell_complete=job_ids)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--into", default=".", metavar="DIR", help="Where to copy them; by default here.")
@click.option("--overwrite", is_flag=True, help="Overwrite existing files.")
def fetch(job_id: str, files: tuple[str, ...], into: str, overwrite: bool) -> None:
    """Copy files that a job has left, from whatever machine it ran on, and print where they are now.

    A relative FILE is sought where the job ran, then in the job's own directory (ANYJOB_SPOOL in its
    environment). Without FILE, everything in its own directory is copied.
    """
    with open_session() as session:
        job = find_job(session, job_id)
        if not hasattr(job, "fetch"):
            print_error(f"backend {job.backend()!s} keeps no files of its jobs")
            sys.exit(exit_codes.FAILED)
        for path in job.fetch(*files, into=into, overwrite=overwrite):
            write_line(str(path))
    sys.exit(exit_codes.OK)
