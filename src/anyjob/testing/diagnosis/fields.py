"""Whether the options of a type, or the fields of a spec, are described and can be given."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from anyjob.config.options import alternatives, describe
from anyjob.config.secrets import Secret
from anyjob.testing.diagnosis.findings import Finding, location_of

_SECRET = re.compile(
    r"(^|_)(token|password|passwd|passphrase|secret|credentials?|(api|access|private|auth)_?key|key)$"
)
_RESERVED = {
    "type": "names the type of the backend or provider in a configuration",
    "backend_version": "gives the version that `backend.version()` returns",
}


def check_options(options_type: Any, owner: Any, called: str = "Options") -> Iterator[Finding]:
    """Yield what is wrong with the ``Options`` of a backend or a provider.

    Args:
        options_type: what the class declares as such.
        owner: the class.
        called: the name of the attribute.
    """
    if not (isinstance(options_type, type) and issubclass(options_type, msgspec.Struct)):
        message = f"{owner.__qualname__}.{called} is {options_type!r:.80}, which is no msgspec.Struct"
        yield Finding(
            "declaration", message, "have the authors derive it from anyjob.Options", location_of(owner)
        )
        return
    yield from check_fields(options_type, "option", secrets=True)
    for name in _names(options_type):
        if name in _RESERVED:
            message = f"the option {name!r} can never be given: {name!r} {_RESERVED[name]}"
            yield Finding("option", message, "have the authors rename it", location_of(options_type))


def check_fields(struct: Any, called: str, *, secrets: bool = False) -> Iterator[Finding]:
    """Yield what is wrong with the fields of a struct, and with those of the structs in it.

    Args:
        struct: a msgspec struct.
        called: what its fields are called in messages.
        secrets: whether to look for fields that had better be an `anyjob.Secret`.
    """
    where = location_of(struct)
    try:
        fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
        infos = describe(struct)
    except Exception as error:  # an annotation may name anything
        message = f"the types of {struct.__qualname__} cannot be read: {type(error).__name__}: {error}"
        hint = "have the authors import what its annotations name at run time, too"
        yield Finding("option", message, hint, where)
        return
    for info in infos:
        kind = fields[info.name].type
        if not info.doc and not info.name.startswith("_"):
            message = f"the {called} {info.name!r} of {struct.__qualname__} does not say what it is for"
            hint = "have the authors describe it, under `Args:` in the docstring of the class"
            yield Finding("undocumented", message, hint, where)
        wrong = _why_unusable(kind, (Path, Secret)) if called == "option" else ""
        if wrong:
            message = f"the {called} {info.name!r} of {struct.__qualname__} cannot be given: {wrong}"
            hint = "have the authors declare it as a type that plain data can become"
            yield Finding("option", message, hint, where)
        elif secrets and _looks_secret(info.name, kind):
            message = f"the {called} {info.name!r} looks like a secret, and is shown as plain text"
            hint = "have the authors declare it as anyjob.Secret; till then, keep it out of shared files"
            yield Finding("secret", message, hint, where)
        for inner in _structs(kind, struct):
            yield from check_fields(inner, called, secrets=secrets)


def _names(struct: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = struct.__struct_encode_fields__
    return names


def _looks_secret(name: str, kind: Any) -> bool:
    """A field that may hold text, and whose name ends as those of secrets do."""
    return bool(_SECRET.search(name.lower())) and bool({str, bytes} & set(alternatives(kind)))


def _why_unusable(kind: Any, known: Collection[Any]) -> str:
    """Say why plain data cannot become a value of this type; empty where it can, or where we know how."""

    def decode(wanted: type, given: Any) -> Any:
        raise ValueError

    try:
        infos = list(_walk(msgspec.inspect.type_info(kind)))
        msgspec.convert(None, kind, dec_hook=decode)
    except msgspec.ValidationError:
        pass
    except Exception as error:  # of a type's own hooks: it is what is found
        return f"{type(error).__name__}: {error}"
    custom = [each.cls for each in infos if isinstance(each, msgspec.inspect.CustomType)]
    unfit = [each for each in custom if each not in known]
    return f"{unfit[0].__qualname__} is made from no plain data" if unfit else ""


def _walk(info: Any) -> Iterator[Any]:
    """Yield what a type consists of, itself first; structs are looked into elsewhere."""
    yield info
    for name in ("types", "item_types", "item_type", "key_type", "value_type", "type"):
        inner = getattr(info, name, None)
        for each in inner if isinstance(inner, tuple) else [] if inner is None else [inner]:
            yield from _walk(each)


def _structs(kind: Any, outer: Any) -> list[Any]:
    try:
        infos = list(_walk(msgspec.inspect.type_info(kind)))
    except Exception:  # told already
        return []
    found = [each.cls for each in infos if isinstance(each, msgspec.inspect.StructType)]
    return [
        each
        for each in dict.fromkeys(found)
        if each is not outer and not each.__module__.startswith("anyjob.")
    ]
