"""``anyjob completion``: what has a shell complete what is typed at it."""

from __future__ import annotations

import sys

import click

PROGRAM = "anyjob"


@click.command(
    epilog="""\b
Examples:
  anyjob completion bash >> ~/.bashrc
  anyjob completion zsh >> ~/.zshrc
  anyjob completion fish > ~/.config/fish/completions/anyjob.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that has a shell complete commands, options and their values, and files.

    Names of backends and kinds of work are completed, and ids, names and tags of the newest jobs.
    """
    from click.shell_completion import get_completion_class

    from anyjob.cli.completion.shells import register

    register()
    completer = get_completion_class(shell)
    assert completer is not None
    group = click.get_current_context().find_root().command
    click.echo(completer(group, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
    sys.exit(0)
