"""``anyjob remote``: sets another machine up, and says whether it is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from anyjob_ssh.backend import SshBackend


@click.group()
def remote() -> None:
    """Set up another machine, and check it: see the backend type ssh."""


def find(host: str) -> SshBackend:
    """Return the backend that is meant: a configured one of the type ``ssh``, or one of a host.

    Raises:
        BackendError: a backend of another type is configured under this name.
    """
    import anyjob
    from anyjob import BackendError, ConfigError, UnknownNameError
    from anyjob_ssh.backend import SshBackend

    try:
        backend = anyjob.get_backend(host)
    except (UnknownNameError, ConfigError):
        backend = anyjob.get_backend("ssh", host=host)
    if not isinstance(backend, SshBackend):
        raise BackendError(f"backend {host!r} is not of type ssh: give the name of one that is, or of a host")
    return backend


@remote.command()
@click.argument("host")
def check(host: str) -> None:
    """Look at each step from here to HOST: a configured backend of type ssh, or a machine as ssh takes it."""
    from anyjob.sdk import printable
    from anyjob_ssh.check import check

    backend, failed = find(host), False
    for step in check(backend):
        click.echo(printable(f"{step.name}: {step.state}: {step.message}", keep="\n"))
        failed |= step.state == "failed"
    sys.exit(1 if failed else 0)


@remote.command()
@click.argument("host")
@click.option("--with", "more", multiple=True, metavar="REQUIREMENT", help="Install this, too: anyjob-slurm.")
@click.option(
    "--wheels", metavar="DIRECTORY", help="Carry the wheels of DIRECTORY over, and use no index there."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before something is written there.")
def install(host: str, more: tuple[str, ...], wheels: str | None, dry_run: bool, yes: bool) -> None:
    """Install anyjob on HOST, in a virtual environment below its home, where the backend ssh looks for it."""
    from pathlib import Path

    from anyjob import __version__
    from anyjob.sdk import printable
    from anyjob_ssh import installation

    options = find(host).options
    python = installation.run_there(options, installation.Line("find a Python", installation.FIND_PYTHON))
    requirements = [f"anyjob=={__version__}", *more]
    lines = installation.plan(python.splitlines()[-1], requirements, Path(wheels) if wheels else None)
    for line in lines:
        click.echo(printable(f"{line.what}: {line.shell}"))
    if dry_run:
        return
    if not yes:
        click.confirm(f"Do that on {options.host}?", abort=True)
    for line in lines:
        found = installation.run_there(options, line)
        click.echo(printable(f"{line.what}: ok" + (f": {found}" if found else ""), keep="\n"))


@remote.command()
@click.argument("host")
@click.option("--yes", is_flag=True, help="Do not ask before jobs are given up.")
def forget(host: str, yes: bool) -> None:
    """Give up the machine that has the jobs of HOST, where it is gone for good: the next one is believed.

    Jobs that are open, and that the next machine does not know, are lost, and do not run again by themselves.
    """
    backend = find(host)
    if not yes:
        click.confirm(f"Give up what the jobs of {backend.name()} are on?", abort=True)
    backend.forget_machine()


@remote.command()
@click.argument("host")
@click.option(
    "--hours",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="How long the connection is kept without use.",
)
def login(host: str, hours: int) -> None:
    """Log in to HOST once, in the foreground: what it asks is asked here, and not again while it is kept."""
    import subprocess
    from pathlib import Path

    from anyjob_ssh import command_line

    options = find(host).options
    master = command_line.master_path(options)
    Path(master).parent.mkdir(mode=0o700, exist_ok=True)
    sys.exit(subprocess.run(command_line.login_arguments(options, hours)).returncode)
