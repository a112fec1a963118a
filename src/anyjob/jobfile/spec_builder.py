"""Specs from plain data, by the struct of their kind: from job files, and from the command line."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from anyjob.config.options import alternatives, in_words
from anyjob.errors import SpecError
from anyjob.session.facade import Session
from anyjob.specs import File, Spec
from anyjob.text.suggestions import did_you_mean


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
        made: Spec = msgspec.convert(ready, spec_type, str_keys=True)
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
                msgspec.convert({key: item}, known[name].type, str_keys=True)
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


def holds_file(kind: Any) -> bool:
    """Return whether a field of this type is a file, or holds some."""
    return any(one is File or File in get_args(one) for one in alternatives(kind))
