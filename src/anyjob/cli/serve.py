"""``anyjob serve``: the far end of a channel that another machine has opened."""

from __future__ import annotations

import click


@click.command()
@click.option("--stdio", is_flag=True, required=True, help="Speak on stdin and stdout: the only way.")
@click.option(
    "--patience",
    default="30s",
    show_default=True,
    metavar="TIME",
    help="How long to stay without a word from the other machine, which sends one every 5 s.",
)
def serve(stdio: bool, patience: str) -> None:
    """Serve the backends of this machine to the anyjob of another one.

    That machine starts it, by ssh; nobody types this.
    """
    from anyjob.cli.context import show_warnings
    from anyjob.remote.far.server import serve
    from anyjob.text.units import parse_duration

    show_warnings()  # on stderr, which comes to the user of the other machine
    serve(parse_duration(patience, what="--patience"))
