"""``anyjob run``: a command, the jobs of a job file, or one piece of work of any kind."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from anyjob.cli.completion.completers import backend_names, directories, files, job_types
from anyjob.cli.context import open_session
from anyjob.cli.run.arguments import OF_COMMANDS, RunCommand
from anyjob.cli.run.job_options import ONCE, job_options, read_keywords
from anyjob.cli.terminal.values import write_option

_OF_FILES = ("fresh", "results", "report", "fail_fast", "dry_run")
"""Parameters that mean something for a job file only."""


EPILOG = """\b
Examples:
  anyjob run -- python3 train.py --epochs 3
  anyjob run -b hpc --cpus 4 --memory 8GiB --walltime 2h -- ./simulate
  anyjob run sweep.toml -p seed=1,2,3
  anyjob run -b local --detach -- ./simulate
  anyjob run --after fit-1 --detach -- ./evaluate
  anyjob run --once fit-1 -- ./simulate
  anyjob run --type python --fn math:sqrt --args 2
  anyjob run --type acme.notebook --help"""


@click.command(cls=RunCommand, epilog=EPILOG, options_metavar="[OPTIONS]")
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
@job_options
@click.option(
    "--env",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="A variable for the command; without a value: as it is here.",
)
@click.option(
    "--cwd",
    metavar="DIR",
    help="The command's working directory; by default this one.",
    shell_complete=directories,
)
@click.option(
    "--stdin", metavar="FILE", help="What the command reads; by default nothing.", shell_complete=files
)
@click.option(
    "--stdout",
    metavar="FILE",
    help="Where to keep its stdout; FILE is overwritten.",
    shell_complete=files,
)
@click.option(
    "--stderr", metavar="FILE", help="The same for stderr; it may be the same file.", shell_complete=files
)
@click.option(
    "--once",
    metavar="KEY",
    help="Do it once: if it was done under this key, show that; if it runs, wait for it.",
)
@click.option("--cache", metavar="TIME", help="With --once: do it again if it was done longer ago: 7d.")
@click.option("--detach", is_flag=True, help="Submit it, print its id, and do not wait.")
@write_option
@click.option(
    "--fail-fast/--keep-going",
    "fail_fast",
    default=None,
    help="When a job of the job file fails, cancel the others; else only those that need it.",
)
@click.option("--dry-run", is_flag=True, help="Print which jobs would run where, and run none.")
@click.option("--fresh", is_flag=True, help="Run all jobs of the job file again.")
@click.option(
    "--results",
    metavar="FILE",
    help="Also write the table of a job file there: a .csv, .json or .parquet.",
    shell_complete=files,
)
@click.option(
    "--report",
    metavar="FILE.html",
    help="Write a report on its jobs there once all have ended; works with --detach.",
    shell_complete=files,
)
@click.option("--json", "as_json", is_flag=True, help="Write what came of it as JSON.")
@click.pass_context
def run(ctx: click.Context, /, as_json: bool, **options: Any) -> None:
    """Run work and wait for it; or, with --detach, leave it to be found again by `anyjob jobs`.

    The output of a command is passed on byte for byte as it comes, and its exit code is that of anyjob.
    Ctrl-C cancels it; a second Ctrl-C leaves at once. When the terminal is closed, or on SIGTERM, jobs that
    outlive their submitter go on, and others are cancelled. With --json, the last line of stderr is what
    came of it.

    The jobs of a job file (FILE.toml) run side by side, and a table tells what came of each. A single job,
    without a matrix, is shown as a command is. A file may have several steps ([[job]]), each of which starts
    after those that it needs; all are submitted at once.

    If the backend's jobs outlive this process, a file that is run again goes on where it was left off: what
    is done is not run again, what is queued or running is waited for, and what failed or was cancelled is
    run again; with --fresh, everything is. A job is the same if it comes from the same file and its work is
    the same: all its fields, and the contents of files that go with it. Its name, tags, resources and
    backend do not matter, nor do changes in the programs and modules that it uses.

    With --type, one piece of work of that kind is made from its fields: files as arguments, -p KEY=VALUE for
    a mapping, --FIELD for the rest. Its result is printed in the form of its kind; --write makes files of
    it. A field that takes numbers and text gets a number if it is given one: -p n=5.
    """
    session = open_session()
    try:
        code = _run(ctx, session, options, as_json)
    finally:
        session.close()
    sys.exit(code)


def _run(ctx: click.Context, session: Any, options: dict[str, Any], as_json: bool) -> int:
    argv: list[str] | None = ctx.meta.get("anyjob.argv")
    resources = read_keywords(options)
    if "limit" in resources and options["file"] is None and not resources.get("name"):
        raise click.UsageError("--limit is of the jobs of one name: give that, too, as --name fit", ctx)
    if "anyjob.fields" in ctx.meta:
        if argv is not None:
            raise click.UsageError("--type makes the work of its fields: drop the command after --", ctx)
        _require_context(ctx, options, _OF_FILES, "with a job file")
        return _run_kind(ctx, session, options, resources, as_json)
    file = options["file"]
    _require_context(ctx, options, ("writes",), "with --type (in a job file, below [write])")
    if argv is None:
        _require_context(ctx, options, OF_COMMANDS, "with a command after --")
        _require_context(ctx, options, ONCE, "with a command or --type: a job file goes on by itself")
        return _run_file(ctx, session, file, options, resources, as_json)
    if file is not None:
        raise click.UsageError(f"either a job file ({file!r}) or a command after --, not both", ctx)
    _require_context(ctx, options, ("parameters", *_OF_FILES), "with a job file")
    if not argv:
        raise click.UsageError("there is no command after --", ctx)
    return _run_one(session, options, _command(argv, options), resources, as_json)


def _run_file(
    ctx: click.Context,
    session: Any,
    file: str | None,
    options: dict[str, Any],
    resources: dict[str, Any],
    as_json: bool,
) -> int:
    if file is None:
        raise click.UsageError("nothing to run: give a job file, or a command after --", ctx)
    if not file.endswith(".toml"):
        raise click.UsageError(
            f"{file!r} is no job file (….toml); a command goes after --: anyjob run -- {file} …; "
            f"other work has a kind: anyjob run --type KIND {file} …",
            ctx,
        )
    if options["detach"] and options["fail_fast"]:
        raise click.UsageError("--fail-fast is seen to by who waits, which --detach does not", ctx)
    from anyjob.cli.run.sweeps.request import FileRequest
    from anyjob.cli.terminal.values import parse_pairs
    from anyjob.jobfile.pipeline import load

    axes = parse_pairs(options["parameters"], several="give all values of it at once: -p AXIS=1,2")
    if options["results"] is not None:
        from anyjob.cli.run.sweeps.results_file import check_path

        if options["detach"]:
            raise click.UsageError("--results are written at the end, which --detach does not wait for", ctx)
        check_path(options["results"])
    if options["report"] is not None:
        from anyjob.cli.run.sweeps.report_file import check_path as check_report

        check_report(options["report"])
    flags = {name: options[name] for name in ("backend", "detach", *_OF_FILES)}
    request = FileRequest(as_json, resources=resources, axes=axes, **flags)
    pipeline = load(file)
    if pipeline is None:
        from anyjob.cli.run.sweeps.sweep import run_file

        return run_file(session, file, request)
    if axes:
        raise click.UsageError("-p is for a job file with one matrix: this one has several steps", ctx)
    from anyjob.cli.run.sweeps.pipeline import run_pipeline

    return run_pipeline(session, pipeline, request)


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
