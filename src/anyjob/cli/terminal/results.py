"""The result of a job as its kind of work has it: shown, given as JSON, and written into files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from anyjob.cli.terminal.output import print_error, write_text
from anyjob.cli.terminal.values import parse_pairs
from anyjob.command_result import CommandResult
from anyjob.errors import AnyjobError, SpecError, in_words
from anyjob.taskjob import TaskJob


def kind_of_job(job: Any) -> type[TaskJob]:
    """Return the class that knows what the results of a job are: of plain jobs, nobody knows more."""
    return type(job) if isinstance(job, TaskJob) else TaskJob


def print_result(job: Any, value: Any) -> None:
    """Write a result to stdout: bytes as they are, None not at all, all else as text."""
    if isinstance(value, CommandResult):
        value = value.stdout.bytes()
    if isinstance(value, bytes) and kind_of_job(job).show(value) is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(value)
        sys.stdout.buffer.flush()
    elif value is not None:
        write_text(as_text(job, value))


def as_text(job: Any, value: Any) -> str:
    """Return a result as text for a person."""
    shown = kind_of_job(job).show(value)
    return str(value) if shown is None else shown


def as_json(job: Any, value: Any) -> Any:
    """Return a result as plain data.

    Raises:
        AnyjobError: it has no form as JSON.
    """
    try:
        return kind_of_job(job).to_builtins(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise AnyjobError(
            f"the result cannot be written as JSON ({error}): leave out --json, or have its kind of work "
            "say how, by `to_builtins`"
        ) from None


def read_writes(texts: Iterable[str], kind: str, job_type: type[Any]) -> dict[str, str]:
    """Return the paths of the files that are to be made of a result, by what is in them.

    Raises:
        click.UsageError: a text is no WHAT=PATH.
        AnyjobError: the kind makes no such file, or not of that name, or there is no directory for it.
    """
    found = parse_pairs(texts, "--write")
    check_writes(found, kind, job_type, "--write ")
    return found


def check_writes(writes: Mapping[str, str], kind: str, job_type: type[Any], where: str) -> None:
    """See to it that files can be made of a result, before there is one.

    Raises:
        SpecError: the kind makes no such file, or there is no directory to put it into.
        AnyjobError: the kind cannot write a file of that name.
    """
    known: Mapping[str, str] = getattr(job_type, "writes", {})
    for what, path in writes.items():
        if what not in known:
            from anyjob.text.suggestions import did_you_mean

            raise SpecError(
                f"{where}{what}: work of kind {kind!r} writes no {what!r}{did_you_mean(what, known)}"
            )
        directory = os.path.dirname(path)
        if not path or not os.path.isdir(directory or "."):
            raise SpecError(f"{where}{what}: there is no directory {directory!r} for {path!r}")
        job_type.check_write(what, path)


def write_files(job: Any, value: Any, writes: Mapping[str, str]) -> bool:
    """Make files of a result; say what cannot be made, and return whether all could."""
    done = True
    for what, path in writes.items():
        try:
            kind_of_job(job).write(value, what, path)
        except Exception as error:  # of a plugin, or of the disk: the result is there, and can be had again
            print_error(f"{what} of job {job.job_id()} could not be written: {in_words(error)}")
            done = False
    return done
