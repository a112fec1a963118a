"""``anyjob completion``, and what completes the names of backends."""

from __future__ import annotations

import sys

import click

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem


@click.command(
    epilog="""\b
Examples:
  anyjob completion bash >> ~/.bashrc
  anyjob completion zsh >> ~/.zshrc
  anyjob completion fish > ~/.config/fish/completions/anyjob.fish"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that has a shell complete commands, options and names of backends."""
    from click.shell_completion import ShellComplete, get_completion_class

    from anyjob.cli.app import main

    completer = get_completion_class(shell)
    assert completer is not None
    # The base class's source(): that of bash starts a bash to ask for its version.
    click.echo(ShellComplete.source(completer(main, {}, "anyjob", "_ANYJOB_COMPLETE")))
    sys.exit(0)


def backend_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a backend; imports no plugin, and never fails."""
    try:
        from anyjob.session.default import default_session

        session = default_session()
        names = [*session.config.backends, *session.registry.names("anyjob.backends", hooks=False)]
    except Exception:  # half a configuration, say: nothing to be said into a line that is being typed
        return []
    return _completions(incomplete, names)


def column_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the columns of ``anyjob jobs``: after a comma, the next."""
    from anyjob.cli.jobs.columns import COLUMNS

    before, comma, _ = incomplete.rpartition(",")
    return _completions(incomplete, (before + comma + name for name in COLUMNS))


def job_types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a kind of work; imports no plugin, and never fails."""
    try:
        from anyjob.session.default import default_session

        names = default_session().registry.names("anyjob.job_types", hooks=False)
    except Exception:
        return []
    return _completions(incomplete, names)


def _completions(incomplete: str, names: Iterable[str]) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # of use to nobody who runs a command

    return [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete)]
