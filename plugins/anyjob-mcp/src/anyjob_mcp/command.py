"""``anyjob mcp``: jobs for agents."""

from __future__ import annotations

import click

MOST_OPEN = 10


@click.command(
    epilog="""\b
Examples:
  anyjob mcp
  anyjob mcp --backend hpc
  anyjob mcp --write --backend hpc --max-open 4 --max-cpus 8 --max-walltime 2h"""
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME",
    help="Jobs of this backend only are seen, run and cancelled. Repeatable; by default all are seen.",
)
@click.option("--write", is_flag=True, help="Jobs may be run and cancelled, on each --backend.")
@click.option("--cancel-any", is_flag=True, help="Jobs may be cancelled that were not run by it, too.")
@click.option(
    "--max-open",
    type=click.IntRange(min=1),
    default=MOST_OPEN,
    show_default=True,
    metavar="N",
    help="So many jobs that were run by it wait or run at a time.",
)
@click.option(
    "--max-cpus",
    "cpus",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="So many cores a job may ask for.",
)
@click.option(
    "--max-gpus",
    "gpus",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="So many GPUs a job may ask for.",
)
@click.option(
    "--max-memory",
    "memory",
    metavar="SIZE",
    help="What a job may ask for, and has if it asks for none: 8GiB; by default any.",
)
@click.option(
    "--max-walltime",
    "walltime",
    default="1h",
    show_default=True,
    metavar="TIME",
    help="The same of time.",
)
def mcp(
    backends: tuple[str, ...],
    write: bool,
    cancel_any: bool,
    max_open: int,
    cpus: int,
    gpus: int,
    memory: str | None,
    walltime: str,
) -> None:
    """Serve jobs to an agent, by the Model Context Protocol on stdin and stdout. It only reads.

    The agent's host starts it. What the agent may do is said here. Jobs go on when it ends.
    """
    import signal
    import sys

    import anyjob
    from anyjob_mcp.acting import check_durable
    from anyjob_mcp.limits import read_limits
    from anyjob_mcp.server import make_server

    limits = read_limits(
        backends, write, cancel_any, max_open, cpus=cpus, gpus=gpus, memory=memory, walltime=walltime
    )
    with anyjob.default_session() as session:
        for name in backends:
            session.get_backend(name)
        if write:
            check_durable(session, backends)
        server = make_server(session, limits)
        if sys.stdin.isatty():
            click.echo(
                "an agent's host starts this: it speaks the Model Context Protocol; Ctrl-C ends it", err=True
            )
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # the SDK's wait for a line ends by nothing else
        server.run("stdio")
