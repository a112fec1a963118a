"""The group ``anyjob``: its commands are imported when they are named, those of plugins too."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from anyjob import __version__
from anyjob.cli import exit_codes
from anyjob.cli.lazy_group import LazyGroup
from anyjob.cli.terminal.output import leave_pipe, print_error
from anyjob.errors import AnyjobError, in_words

VARIABLE = "_ANYJOB_COMPLETE"
"""The variable by which a shell asks for completions, as click calls it."""
COMMANDS = {
    "run": ("anyjob.cli.run.command:run", "Run a command, or the jobs of a job file, and wait for them."),
    "jobs": ("anyjob.cli.jobs.listing:jobs", "List the jobs that outlive their submitter."),
    "top": ("anyjob.cli.top.command:top", "Watch jobs in a terminal."),
    "report": ("anyjob.cli.views.report:report", "Write a report on jobs into a file."),
    "usage": ("anyjob.cli.views.usage:usage", "Sum up how long jobs ran, and what they cost."),
    "show": ("anyjob.cli.jobs.show:show", "Show everything that is known of a job."),
    "explain": ("anyjob.cli.views.explain:explain", "Explain why a job waits or failed, and what to do."),
    "graph": ("anyjob.cli.views.graph:graph", "Show which jobs start after which."),
    "wait": ("anyjob.cli.jobs.wait:wait", "Wait for jobs to end."),
    "logs": ("anyjob.cli.jobs.logs:logs", "Show the output of a job."),
    "result": ("anyjob.cli.jobs.wait:result", "Print what a job returned."),
    "fetch": ("anyjob.cli.jobs.fetch:fetch", "Copy files that a job has left."),
    "cancel": ("anyjob.cli.control.cancel:cancel", "Cancel jobs."),
    "hold": ("anyjob.cli.control.holding:hold", "Keep waiting jobs from starting."),
    "release": ("anyjob.cli.control.holding:release", "Let held jobs start."),
    "pause": ("anyjob.cli.control.holding:pause", "Suspend running jobs."),
    "resume": ("anyjob.cli.control.holding:resume", "Let paused jobs go on."),
    "priority": ("anyjob.cli.control.holding:priority", "Have waiting jobs start sooner or later."),
    "limit": ("anyjob.cli.control.limit:limit", "Limit how many jobs of a name run at a time."),
    "notify": ("anyjob.cli.control.notify:notify", "Send a message once jobs have ended."),
    "rerun": ("anyjob.cli.control.rerun:rerun", "Run jobs again."),
    "attach": ("anyjob.cli.control.attach:attach", "Adopt jobs that were submitted elsewhere."),
    "prune": ("anyjob.cli.control.cancel:prune", "Delete jobs that ended a while ago."),
    "backends": ("anyjob.cli.backends.commands:backends", "List, show and check the places that run work."),
    "providers": ("anyjob.cli.providers.commands:providers", "List, show and check what offers backends."),
    "plugins": ("anyjob.cli.plugins.commands:plugins", "List and check what is installed."),
    "config": ("anyjob.cli.config:config", "Show and check the configuration."),
    "doctor": ("anyjob.cli.doctor.command:doctor", "Look for what keeps anyjob from working."),
    "version": ("anyjob.cli.doctor.command:version", "Show the versions of anyjob, Python and libraries."),
    "serve": ("anyjob.cli.serve:serve", "Serve the backends of this machine to another."),
    "new-plugin": ("anyjob.cli.plugins.new:new_plugin", "Write a plugin to start from."),
    "completion": (
        "anyjob.cli.completion.command:completion",
        "Print the script that completes commands in a shell.",
    ),
}


class Main(LazyGroup):
    """Turns errors into one message and an exit code, and knows the commands of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our commands, then those of plugins, without importing these."""
        return [*super().list_commands(ctx), *(name for name in self._of_plugins() if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None where there is none of this name."""
        if cmd_name in COMMANDS:
            return super().get_command(ctx, cmd_name)
        if cmd_name not in self._of_plugins():
            return None
        from anyjob.cli.context import registry

        return registry().command(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what there is, again without importing it."""
        super().format_commands(ctx, formatter)
        others = {name: by for name, by in self._of_plugins().items() if name not in COMMANDS}
        if others:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, f"from {by}") for name, by in others.items()])

    def _of_plugins(self) -> dict[str, str]:
        from anyjob.cli.context import registry

        listed = registry().listing("anyjob.commands", hooks=False)  # a plugin may hang at its import
        return {each.name: f"{each.distribution} {each.version}" for each in listed if each.usable}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown one, name the nearest."""
        name = str(args[0])
        if ctx.resilient_parsing or name.startswith("-") or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        from anyjob.cli.context import registry
        from anyjob.registry.listing import WELL_KNOWN
        from anyjob.text.suggestions import did_you_mean

        group = "anyjob.commands"
        if any(each.name == name for each in registry().listing(group, hooks=False)):
            registry().command(name)  # raises, and says why what is installed cannot be used
        brought_by = WELL_KNOWN[group].get(name)
        hint = f"; it comes with: pip install {brought_by}" if brought_by else None
        raise click.UsageError(
            f"no command is called {name!r}{hint or did_you_mean(name, self.list_commands(ctx))}", ctx
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; tell of an error by its message, and with ``--debug`` by its traceback."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, click.ClickException):
            raise
        except Exception as error:  # each is told of, by its message or its traceback
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                leave_pipe()  # before click hears of it, which has a code of its own
                sys.exit(exit_codes.BROKEN_PIPE)
            self._tell(ctx, error)

    def _tell(self, ctx: click.Context, error: Exception) -> None:
        from anyjob.execution.submit_directory import submit_directory

        if ctx.params.get("debug"):
            import traceback

            traceback.print_exc()
        if isinstance(error, AnyjobError):
            print_error(str(error))
        elif said := _full(error):
            print_error(said)
        elif isinstance(error, FileNotFoundError) and error.filename is None and submit_directory() is None:
            print_error("the working directory was removed: change into another one, or give whole paths")
        else:
            from anyjob.cli.error_origin import origin_of

            print_error(in_words(error) + ("" if ctx.params.get("debug") else f"\n{origin_of(error)}"))
        sys.exit(exit_codes.FAILED)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; ends with an exit code of `anyjob.cli.exit_codes`."""
        prog_name = prog_name or "anyjob"
        _write_any_letter(sys.stdout)
        if VARIABLE in os.environ:
            from anyjob.cli.completion.shells import register

            register()
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            # Our own commands end by sys.exit(); what click returns here is the code of --help and the like.
            super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except click.UsageError as error:
            _tell_usage(error)
            sys.exit(exit_codes.FAILED)
        except click.ClickException as error:  # of a plugin's command
            print_error(error.format_message())
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(exit_codes.INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:
                leave_pipe()
                sys.exit(exit_codes.BROKEN_PIPE)
            if not (said := _full(error)):
                raise
            print_error(said)
            leave_pipe()
            sys.exit(exit_codes.FAILED)
        sys.exit(exit_codes.OK)


def _write_any_letter(stream: object) -> None:
    """Have letters that the locale does not know written as stderr writes them, and not end the program."""
    if isinstance(stream, io.TextIOWrapper) and (
        stream.errors == "strict" or stream.encoding.lower() not in ("utf-8", "utf8")
    ):
        stream.reconfigure(errors="backslashreplace")


def _full(error: BaseException) -> str:
    """Return what is said of a full disk, which may be where the output goes; empty where it is none."""
    from anyjob.text.full_disk import explain, is_full

    if not isinstance(error, OSError) or not is_full(error):
        return ""
    what = "what was to be told" if error.filename is None else os.fsdecode(error.filename)
    return f"{what} cannot be written: {explain(error)}"


def _tell_usage(error: click.UsageError) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":  # of click 8.2 and newer: its message is the help
        click.echo(error.format_message(), err=True)
        return
    print_error(error.format_message())
    if error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
        click.echo(f"Help: {error.ctx.command_path} --help", err=True)


@click.group(
    cls=Main,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  anyjob run -- python3 train.py --epochs 3
  anyjob run sweep.toml -b hpc --walltime 2h
  anyjob backends list""",
)
@click.version_option(__version__, prog_name="anyjob", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Run work anywhere: on this machine, or where a plugin's backend runs it."""
