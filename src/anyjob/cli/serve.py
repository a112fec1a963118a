"""``anyjob serve``: the far end of a channel that another machine has opened."""

from __future__ import annotations

import click


@click.command()
@click.option("--stdio", is_flag=True, required=True, help="Speak on stdin and stdout, the only way.")
def serve(stdio: bool) -> None:
    """Give the backends of this machine to the anyjob of another one.

    That starts it, by ssh: nobody types this.
    """
    from anyjob.remote.server import serve

    serve()
