"""``anyjob run``: a command, the jobs of a job file, or one piece of work of any kind."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

import click

from anyjob.cli import exit_codes
from anyjob.cli.completion import backend_names, directories, files, job_ids, job_tags, job_types
from anyjob.cli.context import open_session
from anyjob.cli.terminal.values import write_option

_OF_COMMANDS = ("env", "cwd", "stdin", "stdout", "stderr")
"""Parameters that mean something for ``-- CMD`` only."""
_ONCE = ("once", "cache")


class Run(click.Command):
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
        return super().parse_args(ctx, args)

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


_HIDDEN_BY_TYPE = (*_OF_COMMANDS, "file", "parameters")


def _with_what(option: click.Parameter, job_type: Any) -> click.Parameter:
    """Have the help of ``--write`` say which files a kind of work makes of its result."""
    files = " ".join(f"{what}: {text}" for what, text in getattr(job_type, "writes", {}).items())
    if files and option.name == "writes" and isinstance(option, click.Option):
        option = copy(option)
        option.help = f"Write a file of the result; repeatable. {files}"
    return option


def _value_of(flag: str, args: list[str]) -> str | None:
    for before, arg in zip(["", *args], args, strict=False):
        if before == flag:
            return arg
        if arg.startswith(f"{flag}="):
            return arg.partition("=")[2]
    return None


def _resource_options(function: Callable[..., None]) -> Callable[..., None]:
    resources = {
        "--cpus": ("N", "Cores."),
        "--memory": ("SIZE", "Such as 8GiB."),
        "--gpus": ("N", "Accelerators; 0.5 for half of one."),
        "--gpu-memory": ("SIZE", "Of an accelerator that others have a share of, too."),
        "--nodes": ("N", "Machines."),
        "--tasks": ("N", "Processes, which end together; each has its ANYJOB_RANK, and these cpus."),
        "--walltime": ("TIME", "How long it may run: 90s, 2h, 1:30:00."),
        "--name": ("NAME", "What to call it."),
        "--limit": ("N", "How many jobs of its name may run at a time, where the backend can limit that."),
        "--priority": ("N", "The higher, the sooner it starts, where the backend knows priorities."),
    }
    for flag, (metavar, text) in reversed(resources.items()):
        function = click.option(flag, metavar=metavar, help=text)(function)
    return function


def _retry_options(function: Callable[..., None]) -> Callable[..., None]:
    flags = {
        "--retries": ("N", "How often to run it again where it fails."),
        "--retry-on": ("WHAT", "Only after these: memory,node-failure, exit codes, types of exceptions."),
        "--retry-wait": ("TIME", "How long to wait before: 10s."),
        "--retry-grow": ("NAME=X", "What it gets more of each time: memory=2. Repeatable."),
        "--signal-before": ("TIME", "Have it told by SIGTERM so long before its walltime: 2m."),
        "--on-walltime": ("requeue", "Have it go on in another attempt where it has reached its walltime."),
    }
    for flag, (metavar, text) in reversed(flags.items()):
        function = click.option(
            flag, metavar=metavar, help=text, multiple=flag in ("--retry-on", "--retry-grow")
        )(function)
    return function


def _after_options(function: Callable[..., None]) -> Callable[..., None]:
    flags = {
        "--after": "Start once these have succeeded: an id, or a name for all of that name. Repeatable.",
        "--after-end": "Start once these have ended, in whatever way.",
        "--after-failure": "Start once these have failed.",
    }
    for flag, text in reversed(flags.items()):
        function = click.option(flag, metavar="JOB", multiple=True, help=text, shell_complete=job_ids)(
            function
        )
    return function


def _exit_code(code: str, text: str) -> str:
    lines = textwrap.wrap(text.replace("`", ""), 66)
    return f"  {code:<8} " + f"\n{' ' * 11}".join(lines)


EPILOG = """\b
Examples:
  anyjob run -- python3 train.py --epochs 3
  anyjob run -b hpc --cpus 4 --memory 8GiB --walltime 2h -- ./simulate
  anyjob run sweep.toml -p seed=1,2,3
  anyjob run -b local --detach -- ./simulate
  anyjob run --after fit-1 --detach -- ./evaluate
  anyjob run --once fit-1 -- ./simulate
  anyjob run --type python --fn math:sqrt --args 2
  anyjob run --type acme.notebook --help

\b
Exit codes:
""" + "\n".join(map(_exit_code, *zip(*exit_codes.TABLE, strict=True)))


@click.command(cls=Run, epilog=EPILOG, options_metavar="[OPTIONS]")
@click.argument("file", required=False, metavar="[FILE.toml | -- COMMAND [ARG]...]", shell_complete=files)
@click.option("-b", "--backend", metavar="NAME", help="Where to run it.", shell_complete=backend_names)
@click.option("--type", "kind", metavar="KIND", help="Run work of this kind.", shell_complete=job_types)
@click.option(
    "-p",
    "parameters",
    multiple=True,
    metavar="AXIS=VALUES",
    help="Values for an axis of the job file: 1,2,3.",
)
@_resource_options
@_retry_options
@_after_options
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="KEY=VALUE",
    help="To look for it by. Repeatable.",
    shell_complete=job_tags,
)
@click.option(
    "--need",
    "needs",
    multiple=True,
    metavar="NAME=N",
    help="What it takes of what the backend counts: license=1. Repeatable.",
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="TYPE.KEY=VALUE",
    help="For one type of backend: slurm.partition=gpu. Repeatable.",
)
@click.option(
    "--env", multiple=True, metavar="NAME[=VALUE]", help="A variable for the command; alone: as it is here."
)
@click.option(
    "--cwd", metavar="DIR", help="Where the command runs; by default here.", shell_complete=directories
)
@click.option(
    "--stdin", metavar="FILE", help="What the command reads; by default nothing.", shell_complete=files
)
@click.option(
    "--stdout",
    metavar="FILE",
    help="Where to keep what it writes there; FILE is written anew.",
    shell_complete=files,
)
@click.option(
    "--stderr", metavar="FILE", help="The same for stderr; it may be the same file.", shell_complete=files
)
@click.option(
    "--once",
    metavar="KEY",
    help="Do it once: what is done under this word is shown again, what runs is waited for.",
)
@click.option("--cache", metavar="TIME", help="With --once: what was done longer ago is done anew: 7d.")
@click.option("--detach", is_flag=True, help="Hand it over, print the id, and leave.")
@write_option
@click.option(
    "--fail-fast/--keep-going",
    "fail_fast",
    default=None,
    help="When a job of the job file fails, cancel the others; else they go on, but for what needs it.",
)
@click.option("--dry-run", is_flag=True, help="Print what the job file would run where, and run nothing.")
@click.option("--fresh", is_flag=True, help="Run all jobs of the job file anew.")
@click.option(
    "--results",
    metavar="FILE",
    help="Write the table of a job file there, too: a .csv, .json or .parquet.",
    shell_complete=files,
)
@click.option("--json", "as_json", is_flag=True, help="Tell what came of it as JSON.")
@click.pass_context
def run(ctx: click.Context, /, as_json: bool, **options: Any) -> None:
    """Run work, and wait for it; or, with --detach, leave it to be found again by `anyjob jobs`.

    A command's output is passed on byte for byte as it comes, and its exit code is that of anyjob.
    Ctrl-C cancels it; a second Ctrl-C leaves at once. A terminal that is closed, or SIGTERM, leaves jobs
    running that outlive their submitter, and cancels others. With --json, the last line of stderr is what
    came of it.

    The jobs of a job file (FILE.toml) run side by side; a table tells what came of each. One job alone,
    without a matrix, is shown as a command is. On a backend
    whose jobs outlive this process, a file that is run again goes on where it was left off: what is done
    is not run again, what is queued or runs is waited for, and what has failed or was cancelled runs
    anew, as does all with --fresh. A job is the same one if it comes from the same file and its work is
    the same: each field of it, with the contents of files that go with it. Programs and modules that it
    uses are not looked into, nor do its name, tags, resources and backend matter. A file may have several
    steps ([[job]]), each of which starts after those that it needs; all are handed over at once.

    With --type, one piece of work of that kind is made of its fields: files as arguments, -p KEY=VALUE
    for a mapping, --FIELD for the rest. Its result is printed, as its kind shows it; --write makes files
    of it. A field that takes numbers and text gets a number where it is given one: -p n=5.
    """
    session = open_session()
    try:
        code = _run(ctx, session, options, as_json)
    finally:
        session.close()
    sys.exit(code)


def _run(ctx: click.Context, session: Any, options: dict[str, Any], as_json: bool) -> int:
    argv: list[str] | None = ctx.meta.get("anyjob.argv")
    resources = _resources(options)
    if "anyjob.fields" in ctx.meta:
        if argv is not None:
            raise click.UsageError("--type makes the work of its fields: drop the command after --", ctx)
        _require_context(ctx, options, _OF_FILES, "with a job file")
        return _run_kind(ctx, session, options, resources, as_json)
    file = options["file"]
    _require_context(ctx, options, ("writes",), "with --type (in a job file, below [write])")
    if argv is None:
        _require_context(ctx, options, _OF_COMMANDS, "with a command after --")
        _require_context(ctx, options, _ONCE, "with a command or --type: a job file goes on by itself")
        if file is None:
            raise click.UsageError("nothing to run: give a job file, or a command after --", ctx)
        if not file.endswith(".toml"):
            raise click.UsageError(
                f"{file!r} is no job file (….toml); a command goes after --: anyjob run -- {file} …",
                ctx,
            )
        from anyjob.cli.run.sweeps.sweep import run_file
        from anyjob.cli.terminal.values import parse_pairs
        from anyjob.jobfile.pipeline import load

        axes = parse_pairs(options["parameters"])
        flags = {"as_json": as_json, **{name: options[name] for name in ("detach", *_OF_FILES)}}
        if options["detach"] and options["fail_fast"]:
            raise click.UsageError("--fail-fast is seen to by who waits, which --detach does not", ctx)
        if options["results"]:
            from anyjob.cli.run.sweeps.results_file import check_path

            if options["detach"]:
                raise click.UsageError(
                    "--results are written at the end, which --detach does not wait for", ctx
                )
            check_path(options["results"])
        pipeline = load(file)
        if pipeline is not None:
            from anyjob.cli.run.sweeps.pipeline import run_pipeline

            if axes:
                raise click.UsageError(
                    "-p is for a job file with one matrix: this one has several steps", ctx
                )
            return run_pipeline(session, pipeline, options["backend"], resources, **flags)
        return run_file(session, file, options["backend"], resources, axes, **flags)
    if file is not None:
        raise click.UsageError(f"either a job file ({file!r}) or a command after --, not both", ctx)
    _require_context(ctx, options, ("parameters", *_OF_FILES), "with a job file")
    if not argv:
        raise click.UsageError("there is no command after --", ctx)
    return _run_one(session, options, _command(argv, options), resources, as_json)


_OF_FILES = ("fresh", "results", "fail_fast", "dry_run")


def _require_context(ctx: click.Context, options: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    for parameter in ctx.command.params:
        if parameter.name in names and options[parameter.name]:
            raise click.UsageError(f"{parameter.opts[0]} can be given {where} only", ctx)


def _run_one(
    session: Any,
    options: dict[str, Any],
    spec: Any,
    resources: dict[str, Any],
    as_json: bool,
    writes: Mapping[str, str] | None = None,
) -> int:
    from anyjob.cli.jobs.operations import choose_backend
    from anyjob.cli.run.single import run_one

    backend = choose_backend(session, options["backend"], spec)
    if options["detach"]:
        from anyjob.cli.run.detach import detach

        return detach(backend, spec, resources, as_json=as_json)
    return run_one(backend, spec, resources, as_json=as_json, writes=writes)


def _run_kind(
    ctx: click.Context, session: Any, options: dict[str, Any], resources: dict[str, Any], as_json: bool
) -> int:
    from anyjob.cli.run.spec_options import read_fields
    from anyjob.cli.terminal.results import read_writes
    from anyjob.jobfile.spec_builder import make_spec

    fields = read_fields(ctx.meta["anyjob.fields"], options)
    spec = make_spec(ctx.meta["anyjob.spec_type"], fields, f"--type {options['kind']}")
    if options["detach"] and options["writes"]:
        raise click.UsageError("--write is of the result, which --detach does not wait for", ctx)
    writes = read_writes(options["writes"], options["kind"], ctx.meta["anyjob.job_type"])
    from anyjob.execution.submit_directory import submit_directory

    here = submit_directory()
    if options["kind"] == "python" and here is not None and here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` has it
    return _run_one(session, options, spec, resources, as_json, writes)


def _command(argv: list[str], options: dict[str, Any]) -> Any:
    from anyjob.specs import Command, File

    stdin = options["stdin"]
    return Command(
        argv,
        env=_environment(options["env"]),
        cwd=options["cwd"] and os.path.abspath(options["cwd"]),
        stdin=File("/dev/stdin" if stdin == "-" else stdin) if stdin else None,
        stdout=options["stdout"] and os.path.abspath(options["stdout"]),
        stderr=options["stderr"] and os.path.abspath(options["stderr"]),
    )


def _retries(options: dict[str, Any]) -> Any:
    """Return the policy that the options make; None where there is none."""
    more = {
        "on": [each.strip() for text in options["retry_on"] for each in text.split(",") if each.strip()],
        "wait": options["retry_wait"],
        "grow": options["retry_grow"],
    }
    given = {name: value for name, value in more.items() if value}
    if options["retries"] is None:
        if given:
            raise click.UsageError(f"--retry-{min(given)} says how: give --retries N, too")
        return None
    from anyjob.cli.terminal.values import parse_pairs, parse_value
    from anyjob.errors import SpecError
    from anyjob.retry import as_retry

    if "grow" in given:
        given["grow"] = {n: parse_value(x) for n, x in parse_pairs(given["grow"], "--retry-grow").items()}
    if not options["retries"].isdigit():
        raise click.UsageError(f"--retries takes a number, not {options['retries']!r}")
    made = {"times": int(options["retries"]), **given}
    try:
        as_retry(made)
    except SpecError as error:  # by the name of the option that it is about
        raise click.UsageError(re.sub(r"^(on|wait|grow)\b", r"--retry-\1", str(error))) from None
    return made


def _environment(texts: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            if name not in os.environ:
                raise click.UsageError(
                    f"--env {name}: there is no such variable here; give --env {name}=VALUE"
                )
            value = os.environ[name]
        found[name] = value
    return found


def _resources(options: dict[str, Any]) -> dict[str, Any]:
    from anyjob.cli.terminal.values import parse_pairs, parse_value

    names = (
        *("cpus", "memory", "gpus", "gpu_memory", "nodes", "tasks"),
        *("walltime", "on_walltime", "signal_before", "name", "priority", "limit", *_ONCE),
    )
    resources = {name: options[name] for name in names if options[name] is not None}
    if options["tags"]:
        resources["tags"] = parse_pairs(options["tags"], "--tag")
    if options["needs"]:
        resources["needs"] = parse_pairs(options["needs"], "--need")
    for key, value in parse_pairs(options["options"], "--option").items():
        engine, dot, option = key.partition(".")
        if not dot or not engine or not option:
            raise click.UsageError(f"--option takes TYPE.KEY=VALUE, not {key}={value}")
        resources.setdefault("options", {}).setdefault(engine, {})[option] = parse_value(value)
    retries = _retries(options)
    if retries is not None:
        resources["retries"] = retries
    after = {key: options[key] for key in ("after", "after_end", "after_failure") if options[key]}
    return {**resources, **after}
