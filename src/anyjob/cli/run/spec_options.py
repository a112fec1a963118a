"""The fields of a kind of work as parameters of `anyjob run --type`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, get_args, get_origin

import click
import msgspec

from anyjob.cli.terminal.values import parse_pairs, parse_value
from anyjob.config.options import alternatives, describe, in_words
from anyjob.jobfile.spec_builder import holds_file
from anyjob.specs import File, Spec


class FieldParameter(NamedTuple):
    """A field of a spec as a parameter of the command line."""

    name: str
    kind: Any
    parameter: click.Parameter

    def value(self, parsed: Any) -> Any:
        """Return the value of the field, for what click has read."""
        inner = get_args(alternatives(self.kind)[0])
        if _origin(self.kind) in (dict, Mapping):
            item = inner[1] if inner else Any
            return {key: _convert(item, text) for key, text in parse_pairs(parsed).items()}
        if isinstance(parsed, tuple):
            if _origin(self.kind) is not tuple or Ellipsis in inner:
                inner = inner[:1] * len(parsed)
            kinds = [*inner, *[Any] * len(parsed)]
            return [_convert(kind, text) for kind, text in zip(kinds, parsed, strict=False)]
        return parsed if isinstance(parsed, bool) else _convert(self.kind, parsed)


def field_parameters(spec_type: type[Spec], reserved: Iterable[str]) -> list[FieldParameter]:
    """Return the fields of a kind of work as parameters: files positional, the first mapping ``-p``.

    Args:
        spec_type: the class of its specs.
        reserved: the options that there are already; a field of that name gets ``--spec-NAME``.
    """
    reserved = set(reserved)
    docs = {info.name: info.doc for info in describe(spec_type)}
    found = []
    mapping = False
    for field in msgspec.structs.fields(spec_type):
        name, origin = field.encode_name, _origin(field.type)
        flag = "--" + name.replace("_", "-")
        if flag in reserved:
            flag = "--spec-" + name.replace("_", "-")
        if holds_file(field.type) and origin not in (dict, Mapping):
            parameter = _positional(name, many=origin is not File, required=field.required)
        else:
            is_mapping = origin in (dict, Mapping)
            flags = ["-p", flag] if is_mapping and not mapping else [flag]
            mapping = mapping or is_mapping
            parameter = _option(name, flags, field, origin, docs.get(name, ""))
        found.append(FieldParameter(name, field.type, parameter))
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


def read_fields(fields: Iterable[FieldParameter], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the command line has given."""
    found = {}
    for field in fields:
        value = params.get(f"field_{field.name}")
        if value is not None and value != ():
            found[field.name] = field.value(value)
    return found


def _convert(kind: Any, text: str) -> Any:
    """A text of the command line as what a field takes; left as it is where `make_spec` had better judge.

    Where text and something else are taken, it is the latter if it is that as JSON has it: 5 is a number.
    """
    taken = alternatives(kind)
    if holds_file(kind) or taken == (str,):
        return text
    if taken == (Any,):
        return parse_value(text)
    try:
        if str in taken:
            return msgspec.to_builtins(msgspec.convert(parse_value(text), kind))
        return msgspec.to_builtins(msgspec.convert(text, kind, strict=False))
    except (msgspec.ValidationError, TypeError):
        return text if str in taken else parse_value(text)


def _origin(kind: Any) -> Any:
    one = alternatives(kind)[0]
    return get_origin(one) or one
