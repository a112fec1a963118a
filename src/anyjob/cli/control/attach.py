"""``anyjob attach``: jobs that were submitted elsewhere, in the service's web page say, become ours."""

from __future__ import annotations

import sys

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion.completers import backend_names
from anyjob.cli.context import open_session
from anyjob.cli.terminal.output import print_message, write_line
from anyjob.cli.terminal.values import parse_pairs


@click.command(
    epilog="""\b
Examples:
  anyjob attach hpc 4711
  anyjob attach lab/falcon job-17 job-18 --name calibration --tag study=a"""
)
@click.argument("backend", shell_complete=backend_names)
@click.argument("native_ids", nargs=-1, required=True, metavar="ID...")
@click.option("--name", default="", help="A name for them.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag for them.")
def attach(backend: str, native_ids: tuple[str, ...], name: str, tags: tuple[str, ...]) -> None:
    """Adopt jobs that were submitted elsewhere, and print their ids here.

    ID is what BACKEND itself calls a job. From then on it is listed, waited for and found like any other.
    What it runs is not known, so it cannot be run again.
    """
    from anyjob.errors import BackendError
    from anyjob.taskbackend import TaskBackend

    wanted = parse_pairs(tags, "--tag")
    with open_session() as session:
        found = session.get_backend(backend)
        if not (isinstance(found, TaskBackend) and found.capabilities.durable):
            raise BackendError(f"backend {backend!r} keeps no jobs that somebody else could look at")
        for native_id in native_ids:
            job = found.attach(native_id, name=name, tags=wanted)
            job.status()
            known = job.metadata()
            if (name and known["name"] != name) or not wanted.items() <= known["tags"].items():
                print_message(
                    f"{native_id} was a job here already, {job.job_id()}, called {known['name']!r}: "
                    "it keeps its name and tags"
                )
            write_line(job.job_id())
    sys.exit(exit_codes.OK)
