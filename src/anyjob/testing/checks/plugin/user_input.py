"""A spec as its user writes it: in the fields of a job file, and in the arguments of a command line."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args
from unittest import SkipTest

import click
import msgspec

from anyjob.cli.run.spec_options import FieldParameter, field_parameters, read_fields
from anyjob.config.options import alternatives
from anyjob.specs import File, Spec, file_fields, with_files


def with_files_below(spec: Spec, directory: str) -> Spec:
    """Return the spec with its files taken, as if they were in another directory."""
    taken = with_files(spec)
    number = itertools.count()

    def move(value: Any) -> Any:
        if isinstance(value, File):
            return File(f"{directory}/{next(number)}/{Path(value.path).name}", value.content)
        if isinstance(value, Mapping):
            return {key: move(item) for key, item in value.items()}
        return type(value)(move(item) for item in value) if isinstance(value, (list, tuple)) else value

    files = {name: move(getattr(taken, name)) for name in file_fields(type(taken))}
    return with_files(msgspec.structs.replace(taken, **files)) if files else taken


@contextmanager
def files_written(spec: Spec) -> Iterator[Spec]:
    """Give the spec with its files as files that there are, as long as it is entered."""

    def lay(value: Any) -> None:
        if isinstance(value, File):
            Path(value.path).parent.mkdir()
            Path(value.path).write_bytes(value.content or b"")
        elif isinstance(value, (Mapping, list, tuple)):
            for item in value.values() if isinstance(value, Mapping) else value:
                lay(item)

    with TemporaryDirectory() as directory:
        found = with_files_below(spec, directory)
        for name in file_fields(type(found)):
            lay(getattr(found, name))
        yield found


def job_file_fields(spec: Spec) -> dict[str, Any]:
    """Return the fields of a spec as a job file has them.

    Raises:
        SkipTest: it holds what can only be written in Python.
    """
    fields = {}
    for field in msgspec.structs.fields(type(spec)):
        value = getattr(spec, field.name)
        if value is None:
            continue  # TOML has nothing for it
        try:
            fields[field.encode_name] = msgspec.to_builtins(_with_paths(value), str_keys=True)
        except TypeError as error:
            raise SkipTest(f"{field.name} = {value!r} can only be written in Python: {error}") from None
    return fields


def _with_paths(value: Any) -> Any:
    """Files as their paths."""
    if isinstance(value, File):
        return value.path
    if isinstance(value, Mapping):
        return {key: _with_paths(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_paths(item) for item in value]
    return value


def command_line_fields(spec: Spec) -> dict[str, Any]:
    """Write the fields of a spec as arguments of `anyjob run`, and read them back.

    Raises:
        SkipTest: it holds what no command line can.
        click.UsageError: what was written cannot be read.
    """
    from anyjob.cli.run.command import run

    written = job_file_fields(spec)
    assert isinstance(run, click.Command)
    reserved = [*getattr(run, "reserved_flags", list)(), "--help"]
    fields = field_parameters(type(spec), reserved)
    arguments = [each for field in fields if field.name in written for each in _arguments(field, written)]
    command = click.Command("run", params=[field.parameter for field in fields])
    context = command.make_context("run", arguments)
    return read_fields(fields, context.params)


def _arguments(field: FieldParameter, written: Mapping[str, Any]) -> Iterator[str]:
    value, parameter = written[field.name], field.parameter
    if isinstance(parameter, click.Argument):
        yield from value if isinstance(value, list) else [value]
        return
    assert isinstance(parameter, click.Option)
    flag = next(flag for flag in parameter.opts if flag.startswith("--"))
    if parameter.secondary_opts:
        yield flag if value else parameter.secondary_opts[0]
        return
    for text in _texts(field.kind, value):
        yield f"{flag}={text}"


def _texts(kind: Any, value: Any) -> Iterable[str]:
    arguments = get_args(alternatives(kind)[0])
    if isinstance(value, dict):
        inner = arguments[1] if len(arguments) > 1 else Any
        for key in value:
            if not key or "=" in key:
                raise SkipTest(f"no command line can give the key {key!r}")
        return [f"{key}={_text(inner, item)}" for key, item in value.items()]
    if isinstance(value, list):
        return [_text(arguments[0] if arguments else Any, item) for item in value]
    return [_text(kind, value)]


def _text(kind: Any, value: Any) -> str:
    """A text is itself where nothing but a text is taken; all else is as JSON has it."""
    taken = alternatives(kind)
    quoted = taken == (Any,) or (str in taken and len(taken) > 1)
    return value if isinstance(value, str) and not quoted else json.dumps(value)
