"""A group of commands that are imported when they are named."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

WHOLE = 1000
"""Characters of the first sentence of a command's help that a list has: all, it is wrapped."""


class LazyGroup(click.Group):
    """A group that knows where its commands are, and imports the one that is named only.

    Args:
        lazy: for each command ``module:attribute``, and its line in the help.
        **attributes: what a group of click's takes.
    """

    def __init__(self, *, lazy: Mapping[str, tuple[str, str]] | None = None, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, without importing any."""
        return [*self.lazy, *(name for name in super().list_commands(ctx) if name not in self.lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None where there is none of this name."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what there is, again without importing it."""
        lines = {name: text for name, (_, text) in self.lazy.items()}
        lines |= {name: command.get_short_help_str(WHOLE) for name, command in self.commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl(list(lines.items()))
