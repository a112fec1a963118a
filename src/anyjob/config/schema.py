"""Options, specs and resources as data: a JSON Schema, and a list of fields, for forms and the like."""

from __future__ import annotations

import functools
import operator
import types
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from anyjob.config.options import describe
from anyjob.config.secrets import Secret
from anyjob.resources import Resources

SECRET = {
    "description": "a secret: where it is kept, or its text",
    "anyOf": [
        *(
            {
                "type": "object",
                "properties": {source: {"type": "string"}},
                "required": [source],
                "additionalProperties": False,
            }
            for source in ("env", "file", "keyring")
        ),
        {"type": "string", "writeOnly": True},
    ],
}
QUANTITIES = ("cpus", "memory", "gpus", "gpu_memory", "nodes", "tasks", "walltime")
"""The fields of `Resources` that may be given as people write them, such as ``"8GiB"``."""


def schema_hook(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of a type that msgspec does not know: what ``msgspec.json.schema`` takes.

    Args:
        kind: `Secret`, a path, or any other type, of which nothing but its name can be said.
    """
    if kind is Secret:
        return dict(SECRET)
    if isinstance(kind, type) and issubclass(kind, PurePath):
        return {"type": "string", "format": "path"}
    return {"description": f"a {getattr(kind, '__qualname__', kind)}"}


def json_schema(struct_type: type[Any]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of options, of a spec, or of `Resources`, with what each field is for.

    Args:
        struct_type: a msgspec struct. What a field is for is said by ``msgspec.Meta(description=…)`` in its
            annotation, or in the section ``Args:`` of the docstring.

    Raises:
        TypeError: this is no msgspec struct.
    """
    if not hasattr(struct_type, "__struct_fields__"):
        raise TypeError(
            f"{struct_type!r} is no msgspec struct: give the Options of a type, or the class of a spec"
        )
    told = _told(struct_type, {})
    schema: dict[str, Any] = msgspec.json.schema(told, schema_hook=schema_hook)
    if struct_type is Resources:
        for name in QUANTITIES:
            schema["$defs"]["Resources"]["properties"][name]["anyOf"].append({"type": "string"})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def fields(struct_type: type[Any]) -> list[dict[str, Any]]:
    """Return what can be said of the fields of a struct, as plain data, in their order.

    Args:
        struct_type: a msgspec struct: the options of a type, a spec, or `Resources`.

    Returns:
        for each field its ``name``, ``type`` in words, ``required``, ``default`` (None where it is required),
        ``doc``, and ``secret``.
    """
    return [{**info._asdict(), "default": _plain(info.default)} for info in describe(struct_type)]


def _told(kind: Any, made: dict[Any, Any]) -> Any:
    """Return a type like this, in whose structs each field has its text, and a default that JSON can have."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return Annotated[(_told(args[0], made), *kind.__metadata__)]
    if origin in (Union, types.UnionType):
        return functools.reduce(operator.or_, (_told(each, made) for each in args))
    if origin is not None and origin is not Literal:
        return origin[tuple(each if each is ... else _told(each, made) for each in args)]
    if not hasattr(kind, "__struct_fields__"):
        return kind
    if kind not in made:
        made[kind] = kind  # one that holds itself stays as it is inside
        made[kind] = _told_struct(kind, made)
    return made[kind]


def _told_struct(struct: Any, made: dict[Any, Any]) -> Any:
    docs = {info.name: info.doc for info in describe(struct)}
    given: list[Any] = []
    for field in msgspec.structs.fields(struct):
        kind, doc = _told(field.type, made), docs[field.encode_name]
        kind = Annotated[kind, msgspec.Meta(description=doc)] if doc else kind
        if field.required:
            given.append((field.name, kind))
            continue
        default = _plain(field.default_factory() if field.default is msgspec.NODEFAULT else field.default)
        if default and isinstance(default, (dict, list)):
            given.append(
                (field.name, kind, msgspec.field(default_factory=functools.partial(type(default), default)))
            )
        else:
            given.append((field.name, kind, default))
    known = struct.__struct_config__
    return msgspec.defstruct(
        struct.__name__,
        given,
        namespace={"__doc__": struct.__doc__},
        module=struct.__module__,
        kw_only=True,
        rename={field.name: field.encode_name for field in msgspec.structs.fields(struct)},
        tag=known.tag,
        tag_field=known.tag_field,
        forbid_unknown_fields=known.forbid_unknown_fields,
    )


def _plain(value: Any) -> Any:
    def other(odd: Any) -> Any:
        if isinstance(odd, Secret):
            return odd.reference()
        return sorted(odd) if isinstance(odd, (set, frozenset)) else str(odd)

    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=other))
