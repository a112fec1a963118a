"""``anyjob new-plugin``: writes a plugin to start from."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from anyjob.cli.terminal.output import write_text
from anyjob.scaffold.names import FLAVOURS

if TYPE_CHECKING:
    from anyjob.scaffold.names import Names


@click.command(
    "new-plugin",
    epilog="""\b
Examples:
  anyjob new-plugin anyjob-acme --backend acme
  anyjob new-plugin anyjob-acme --backend acme --flavour scheduler
  anyjob new-plugin anyjob-acme --backend acme --flavour provider
  anyjob new-plugin anyjob-acme --job-type acme.report""",
)
@click.argument("distribution")
@click.option("--backend", metavar="NAME", help="Bring a type of backend of this name.")
@click.option(
    "--flavour",
    type=click.Choice(FLAVOURS),
    help="What the backend speaks to: a service over HTTP (rest, the default), a scheduler by its programs; "
    "or NAME is a type of provider: an account at a service that has several machines (provider); or it has "
    "jobs of its own, in the style of Qiskit's original interface (legacy).",
)
@click.option("--job-type", "kind", metavar="PREFIX.NAME", help="Bring a kind of work of this name.")
@click.option("--directory", metavar="DIR", help="Where to write it; by default ./DISTRIBUTION.")
def new_plugin(
    distribution: str, backend: str | None, flavour: str | None, kind: str | None, directory: str | None
) -> None:
    """Write a plugin that works, with tests that pass, for you to change.

    DISTRIBUTION is the name that it is installed by.
    """
    from anyjob.scaffold.names import Names
    from anyjob.scaffold.render import render
    from anyjob.scaffold.writing import write

    names = Names(distribution=distribution, backend=backend, flavour=flavour, kind=kind)
    _check_free(names)
    target = Path(directory or distribution)
    write(target, render(names))
    write_text(
        f"Written: {target}\n\n"
        f"  cd {shlex.quote(str(target))}\n"
        "  pip install -e '.[test]'\n"
        "  python -m pytest\n\n"
        "Its README.md says what to change. Choose a licence before you publish it."
    )
    sys.exit(0)


def _check_free(names: Names) -> None:
    """Refuse names that another distribution has: users could not have both.

    Raises:
        PluginError: one is imported by the same name, or registers the same.
    """
    from importlib.util import find_spec

    from anyjob.cli.context import registry
    from anyjob.errors import PluginError
    from anyjob.registry.entry_points import BACKENDS, JOB_TYPES, PROVIDERS
    from anyjob.registry.metadata import normalise

    distribution = normalise(names.distribution)
    listed = registry().listing(hooks=False)
    if find_spec(names.package) is not None and all(line.distribution != distribution for line in listed):
        raise PluginError(
            f"{names.distribution!r} would be imported as {names.package!r}, as is something else that is "
            f"installed: try 'anyjob-{distribution}'"
        )
    wanted = [(JOB_TYPES, "kind of work", names.kind)]
    if names.flavour != "provider":
        wanted.append((BACKENDS, "backend", names.backend))
    if names.flavour in ("provider", "legacy"):
        wanted.append((PROVIDERS, "provider", names.backend))
    for group, what, name in wanted:
        for line in listed if name is not None else ():
            if (line.group, line.name) == (group, name) and line.distribution != distribution:
                raise PluginError(
                    f"a {what} called {name!r} is installed, by {line.distribution} {line.version}: choose "
                    "another name, so that people can have both"
                )
