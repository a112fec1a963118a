"""Specs from job files and from the command line, by the struct of their kind."""

from __future__ import annotations

import functools
import os
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import click
import msgspec

from anyjob.config.options import describe, in_words
from anyjob.errors import SpecError
from anyjob.jobfile.values import guessed, pairs
from anyjob.session.facade import Session
from anyjob.specs import File, Spec
from anyjob.text.nearest import did_you_mean


def spec_type_of(session: Session, kind: str) -> type[Spec]:
    """Return the class of the specs of a kind of work.

    Raises:
        PluginError: no such kind is installed, or it cannot be used.
        SpecError: its job type has no specs.
    """
    job_type = session.get_job_type(kind)
    spec_type: type[Spec] | None = getattr(job_type, "spec_type", None)
    if spec_type is None:
        raise SpecError(
            f"work of kind {kind!r} has no spec ({job_type.__name__} declares no spec_type), so that it can "
            "be made by a program only"
        )
    return spec_type


def make_spec(spec_type: type[Spec], fields: Mapping[str, Any], where: str, directory: str = "") -> Spec:
    """Make a spec of plain data.

    Args:
        spec_type: its class.
        fields: its fields; a path will do for a file.
        where: the place that they come from, for errors.
        directory: what the paths of files are relative to; by default the current one.

    Raises:
        SpecError: a field is unknown, missing, or of the wrong type.
    """
    known = _fields_by_name(spec_type)
    for name in fields:
        if name not in known:
            raise SpecError(f"{where}: {spec_type.__name__} has no field {name!r}{did_you_mean(name, known)}")
    for name, field in known.items():
        if field.required and name not in fields:
            raise SpecError(f"{where}: {name!r} is missing; expected {in_words(field.type)}")
    ready = {name: _with_files(known[name].type, value, directory) for name, value in fields.items()}
    try:
        made: Spec = msgspec.convert(ready, spec_type)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, SpecError):
            raise SpecError(f"{where}: {error.__cause__}") from None
        raise SpecError(f"{where}: {_wrong_entry(known, ready)}{error}") from None
    return made


def _wrong_entry(known: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """Name the entry of a mapping that is wrong: of that, msgspec says ``[...]``."""
    for name, value in fields.items():
        for key, item in value.items() if isinstance(value, Mapping) else ():
            try:
                msgspec.convert({key: item}, known[name].type)
            except msgspec.ValidationError:
                return f"{name} {key!r}: "
    return ""


@functools.cache
def _fields_by_name(spec_type: type[Spec]) -> dict[str, Any]:
    return {field.encode_name: field for field in msgspec.structs.fields(spec_type)}


def _with_files(kind: Any, value: Any, directory: str) -> Any:
    if not holds_file(kind):
        return value
    if isinstance(value, Mapping):
        return {key: _file(item, directory) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_file(item, directory) for item in value]
    return _file(value, directory)


def _file(path: Any, directory: str) -> Any:
    if not isinstance(path, str):
        return path
    return File(os.path.normpath(os.path.join(directory, path)) if directory else path)


def alternatives(kind: Any) -> tuple[Any, ...]:
    """Return what a type stands for: the members of a union, without None and annotations."""
    if get_origin(kind) is Annotated:
        return alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(one for arg in get_args(kind) for one in alternatives(arg) if one is not types.NoneType)
    return (kind,)


def holds_file(kind: Any) -> bool:
    """Return whether a field of this type is a file, or holds some."""
    return any(one is File or File in get_args(one) for one in alternatives(kind))


def _origin(kind: Any) -> Any:
    one = alternatives(kind)[0]
    return get_origin(one) or one


# --- the command line -----------------------------------------------------------------------------


class Field(NamedTuple):
    """A field of a spec as a parameter of the command line."""

    name: str
    kind: Any
    parameter: click.Parameter

    def value(self, given: Any) -> Any:
        """Return the value of the field, for what click has read."""
        if _origin(self.kind) in (dict, Mapping):
            inner = (get_args(alternatives(self.kind)[0]) or (str, Any))[1]
            return {key: _converted(inner, text) for key, text in pairs(given).items()}
        if isinstance(given, tuple):
            inner = (get_args(alternatives(self.kind)[0]) or (Any,))[0]
            return [_converted(inner, text) for text in given]
        return given if isinstance(given, bool) else _converted(self.kind, given)


def fields_of(spec_type: type[Spec], taken: Iterable[str]) -> list[Field]:
    """Return the fields of a kind of work as parameters: files positional, the first mapping ``-p``.

    Args:
        spec_type: the class of its specs.
        taken: the options that there are already; a field of that name gets ``--spec-NAME``.
    """
    taken = set(taken)
    docs = {info.name: info.doc for info in describe(spec_type)}
    found = []
    mapping = False
    for field in msgspec.structs.fields(spec_type):
        name, origin = field.encode_name, _origin(field.type)
        flag = "--" + name.replace("_", "-")
        if flag in taken:
            flag = "--spec-" + name.replace("_", "-")
        if holds_file(field.type) and origin not in (dict, Mapping):
            parameter = _positional(name, many=origin is not File, required=field.required)
        else:
            is_mapping = origin in (dict, Mapping)
            flags = ["-p", flag] if is_mapping and not mapping else [flag]
            mapping = mapping or is_mapping
            parameter = _option(name, flags, field, origin, docs.get(name, ""))
        found.append(Field(name, field.type, parameter))
    return found


def _positional(name: str, *, many: bool, required: bool) -> click.Parameter:
    metavar = f"[{name.upper()}]..." if many else name.upper() if required else f"[{name.upper()}]"
    return click.Argument([f"field_{name}"], nargs=-1 if many else 1, required=required, metavar=metavar)


def _option(name: str, flags: list[str], field: Any, origin: Any, doc: str) -> click.Parameter:
    destination = f"field_{name}"
    if origin is bool:
        flag = flags[0]
        declared = [destination, f"{flag}/--no-{flag.removeprefix('--')}"]
        return click.Option(declared, default=None, required=field.required, help=doc)
    many = origin in (dict, Mapping, list, tuple, set, frozenset)
    metavar = "KEY=VALUE" if origin in (dict, Mapping) else in_words(field.type).upper()
    if many and origin not in (dict, Mapping):
        metavar = "VALUE"
    return click.Option(
        [destination, *flags],
        multiple=many,
        required=field.required,
        metavar=metavar,
        help=(doc + (" " if doc else "") + ("May be given several times." if many else "")).strip() or None,
    )


def fields_given(fields: Iterable[Field], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the command line has given."""
    given = {}
    for field in fields:
        value = params.get(f"field_{field.name}")
        if value is not None and value != ():
            given[field.name] = field.value(value)
    return given


def _converted(kind: Any, text: str) -> Any:
    """A text of the command line as what a field takes; left as it is where `make_spec` had better judge."""
    if holds_file(kind) or str in alternatives(kind):
        return text
    if alternatives(kind) == (Any,):
        return guessed(text)
    try:
        return msgspec.to_builtins(msgspec.convert(text, kind, strict=False))
    except (msgspec.ValidationError, TypeError):
        return guessed(text)
