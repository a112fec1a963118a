"""``anyjob dashboard``: jobs live in a browser."""

from __future__ import annotations

import click

MOST = 10_000
FAR_PORT = 8765
"""Of the user's own machine, where a socket is forwarded to it."""


@click.command(
    epilog="""\b
Examples:
  anyjob dashboard
  anyjob dashboard --port 8765
  anyjob dashboard --socket ~/.anyjob-dashboard.sock"""
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Of 127.0.0.1; by default one that is free.",
)
@click.option(
    "--socket",
    "path",
    metavar="PATH",
    help="Listen on a socket in the file system and on no port, for `ssh -L PORT:PATH HOST`.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=MOST,
    show_default=True,
    metavar="N",
    help="The newest so many jobs are listed.",
)
def dashboard(port: int, path: str | None, limit: int) -> None:
    """Watch jobs live in a browser: what runs, waits and failed, why, and what they write.

    It prints a URL with a token: whoever has that sees your jobs and may cancel them. Only this machine can
    reach it; from another one, `ssh -L`. Jobs go on when it ends.
    """
    from pathlib import Path

    import anyjob
    from anyjob_dashboard.access import new_keys
    from anyjob_dashboard.app import make_app
    from anyjob_dashboard.serving import HOST, listening_on_port, listening_on_socket, serve

    if path is not None and port:
        raise click.UsageError("--port and --socket exclude each other: give one of them")
    keys = new_keys()

    def say(text: str) -> None:
        click.echo(f"{text}\nCtrl-C ends it; jobs go on")

    with anyjob.default_session() as session:
        app = make_app(session, keys, limit)
        if path is None:
            with listening_on_port(port) as listener:
                url = f"http://{HOST}:{listener.getsockname()[1]}/?token={keys.token}"
                serve(app, listener, lambda: say(f"the dashboard is at {url}"))
            return
        place = Path(path).expanduser().absolute()
        url = f"http://{HOST}:{FAR_PORT}/?token={keys.token}"
        there = f"ssh -L {FAR_PORT}:{place} HOST"
        with listening_on_socket(place) as listener:
            serve(app, listener, lambda: say(f"the dashboard: from your machine {there}, then open {url}"))
