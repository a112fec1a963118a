"""How the words of `anyjob run` are read: what follows ``--``, and a kind's fields as options."""

from __future__ import annotations

from copy import copy
from typing import Any

import click

from anyjob.cli import exit_codes
from anyjob.cli.context import open_session

OF_COMMANDS = ("env", "cwd", "stdin", "stdout", "stderr")
"""Parameters that mean something for ``-- CMD`` only."""


class RunCommand(click.Command):
    """Splits off what follows ``--``; with ``--type``, takes that kind's fields as parameters."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what is before ``--``, and keep the rest as it is."""
        if "--" in args:
            at = args.index("--")
            args, ctx.meta["anyjob.argv"] = args[:at], args[at + 1 :]
        kind = _value_of("--type", args)
        if kind is not None and not ctx.resilient_parsing:
            from anyjob.cli.run.spec_options import field_parameters
            from anyjob.jobfile.spec_builder import spec_type_of

            spec_type = spec_type_of(open_session(), kind)
            ctx.meta["anyjob.spec_type"] = spec_type
            reserved = [*self.reserved_flags(), *self.get_help_option_names(ctx)]
            ctx.meta["anyjob.fields"] = field_parameters(spec_type, reserved)
            ctx.meta["anyjob.job_type"] = open_session().get_job_type(kind)
        given = list(args)  # click's parser eats them
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if "anyjob.argv" in ctx.meta or kind is not None or not _is_of_a_command(error, given):
                raise
            said = error.message.rstrip(".")
            raise click.UsageError(
                f"{said}; a command, with all that is its own, goes after --", ctx
            ) from None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, and what the exit codes mean."""
        super().format_epilog(ctx, formatter)
        with formatter.indentation(), formatter.section("Exit codes"):
            formatter.write_dl([(code, text.replace("`", "")) for code, text in exit_codes.TABLE])

    def reserved_flags(self) -> list[str]:
        """Return the options that there are with every ``--type``, so that no field can have their names."""
        return [flag for each in self.params for flag in each.opts if each.name not in _HIDDEN_BY_TYPE]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters; with ``--type``, those of the kind in place of those of commands."""
        params = super().get_params(ctx)
        if ctx.resilient_parsing and "anyjob.argv" in ctx.meta:
            return [each for each in params if each.name == "file"]  # a command's own words are completed
        fields = ctx.meta.get("anyjob.fields")
        if fields is None:
            return params
        kept = [each for each in params if each.name not in _HIDDEN_BY_TYPE]
        kept = [
            _with_what(each, ctx.meta["anyjob.job_type"]) if each.name == "writes" else each for each in kept
        ]
        return [*(field.parameter for field in fields), *kept]


_HIDDEN_BY_TYPE = (*OF_COMMANDS, "file", "parameters")


def _with_what(option: click.Parameter, job_type: Any) -> click.Parameter:
    """Have the help of ``--write`` say which files a kind of work makes of its result."""
    files = " ".join(f"{what}: {text}" for what, text in getattr(job_type, "writes", {}).items())
    if files and option.name == "writes" and isinstance(option, click.Option):
        option = copy(option)
        option.help = f"Write a file of the result; repeatable. {files}"
    return option


def _is_of_a_command(error: click.UsageError, args: list[str]) -> bool:
    """Tell whether words that mean nothing here are those of a command that was given without ``--``."""
    words = [each for each in args if not each.startswith("-")]
    if not words or any(each.endswith(".toml") for each in words):
        return False
    if isinstance(error, click.NoSuchOption):
        return not (args[0].startswith("-") and error.possibilities)
    return type(error) is click.UsageError  # words too many; its subclasses are about one parameter


def _value_of(flag: str, args: list[str]) -> str | None:
    for before, arg in zip(["", *args], args, strict=False):
        if before == flag:
            return arg
        if arg.startswith(f"{flag}="):
            return arg.partition("=")[2]
    return None
