"""Options against the ``Options`` of a type: checked all at once, and described.

``Options`` is a msgspec struct; beside what msgspec knows, a field may be a `Secret` or a `pathlib.Path`
(of which a leading ``~`` is the home).
"""

from __future__ import annotations

import enum
import inspect
import math
import re
import types
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from anyjob.config.layers.origins import Values, placed
from anyjob.config.secrets import Secret, plain_text
from anyjob.errors import ConfigError
from anyjob.text.suggestions import did_you_mean

T = TypeVar("T")


class OptionInfo(NamedTuple):
    """One option of a type, for people.

    Args:
        name: as a configuration has it.
        type: what it takes, in words.
        required: whether it must be given.
        default: what holds where it is not given; None where it is required.
        doc: what it is for.
        secret: whether it is a secret.
    """

    name: str
    type: str
    required: bool
    default: Any
    doc: str
    secret: bool = False


def validate_options(
    options_type: type[T],
    values: Mapping[str, Any],
    *,
    where: str = "",
    skip: Collection[str] = (),
    defaults: object = None,
) -> T:
    """Make options of what a configuration says: what a ``from_options`` does with its ``options``.

    Args:
        options_type: a msgspec struct, such as a subclass of `anyjob.Options`. A field may also be an
            `anyjob.Secret`, or a `pathlib.Path`, of which a leading ``~`` is the home.
        values: the options by name. Those of a session know where they were configured, and which are text
            for want of types (those of environment variables), and so are converted (``"4"`` to 4).
        where: what to put before the name of an option in an error, where the values do not know better.
        skip: names that are somebody else's.
        defaults: options of another type; what it has, too, is as there, where ``values`` say nothing.

    Returns:
        the struct.

    Raises:
        ConfigError: one line for each option that is unknown, missing or of the wrong type.
    """
    if isinstance(values, Values):
        validator = _Validator(values.where, values.textual)
    else:
        validator = _Validator(_with_prefix(where), frozenset())
    own = {key: value for key, value in values.items() if key not in skip}
    made = validator.struct(options_type, own, defaults=defaults)
    if validator.problems:
        raise ConfigError("\n".join(validator.problems))
    return made  # type: ignore[no-any-return]


def _with_prefix(prefix: str) -> Callable[[str], str]:
    return lambda key: ": ".join(filter(None, (prefix, key)))


class _Validator:
    def __init__(self, where: Callable[[str], str], textual: frozenset[str]) -> None:
        self.where, self.textual = where, textual
        self.problems: list[str] = []

    def problem(self, key: str, why: str, place: str = "") -> None:
        at = self.where(f"{key}{place}")
        self.problems.append(f"{at}: {why}" if at else why)

    def struct(
        self, struct_type: Any, values: Mapping[str, Any], prefix: str = "", defaults: object = None
    ) -> Any:
        before = len(self.problems)
        fields = {field.encode_name: field for field in msgspec.structs.fields(struct_type)}
        for key in values:
            if key not in fields:
                self.problem(f"{prefix}{key}", "unknown option" + did_you_mean(key, fields))
        made = {}
        for key, field in fields.items():
            if key in values:
                made[field.name] = self.value(field.type, values[key], f"{prefix}{key}")
            elif hasattr(defaults, field.name):
                made[field.name] = getattr(defaults, field.name)
            elif field.required:
                docs = {each.name: each.doc.rstrip(".") for each in describe(struct_type)}
                purpose = f": {docs[key]}" if docs[key] else ""
                self.problem(f"{prefix}{key}", f"is missing; expected {in_words(field.type)}{purpose}")
        if len(self.problems) > before:
            return None
        try:
            return struct_type(**made)
        except (TypeError, ValueError, ConfigError) as error:
            self.problem(*placed(str(error), values, prefix.rstrip(".")))
            return None

    def value(self, kind: Any, value: Any, key: str) -> Any:
        inner = _struct_in(kind)
        if inner is not None and isinstance(value, Mapping):
            return self.struct(inner, value, f"{key}.")
        if not self.entries(kind, value, key):
            return None
        try:
            made = self.converted(kind, value, key)
            if isinstance(made, float) and not math.isfinite(made):  # as TOML has it: no clock counts so far
                raise msgspec.ValidationError(f"Expected a finite number, got {made}")
            return made
        except msgspec.ValidationError as error:
            said, place = _reworded(str(error), kind)
            if place == "[...]" and isinstance(value, Mapping):  # msgspec does not say in which entry
                place = f".{self.wrong_entry(kind, value, key)}"
            self.problem(key, said, place)
        except ConfigError as error:  # of a Secret, which names the place by itself
            self.problems.append(str(error))
        return None

    def entries(self, kind: Any, value: Any, key: str) -> bool:
        """Check the tables in a list of tables: what is wrong in one is told as it is of a table alone."""
        entry = _struct_in_list(kind)
        if entry is None or not isinstance(value, (list, tuple)):
            return True
        before = len(self.problems)
        for number, each in enumerate(value):
            if isinstance(each, Mapping):
                self.struct(entry, each, f"{key}[{number}].")
        return len(self.problems) == before

    def wrong_entry(self, kind: Any, table: Mapping[str, Any], key: str) -> str:
        """Return which entry of a table is not as its type has it."""
        for name, value in table.items():
            try:
                self.converted(kind, {name: value}, key)
            except (msgspec.ValidationError, ConfigError):
                return name
        return next(iter(table))

    def converted(self, kind: Any, value: Any, key: str) -> Any:
        def other(wanted: type, given: Any) -> Any:
            if wanted is Secret:
                return Secret(given, self.where(key))
            if wanted is Path and isinstance(given, str):
                return Path(given).expanduser()
            raise TypeError(f"Expected `{wanted.__name__}`, got `{type(given).__name__}`")

        lenient = any(text == key or text.startswith(f"{key}.") for text in self.textual)
        try:
            return msgspec.convert(plain_text(value), kind, strict=not lenient, dec_hook=other)
        except msgspec.ValidationError:
            if not (lenient and isinstance(value, str) and value[:1] in ("[", "{")):
                raise
        # Lists and tables, in the one notation that fits into a variable.
        try:
            parsed = msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise msgspec.ValidationError(f"Expected {in_words(kind)}, as JSON") from None
        return msgspec.convert(parsed, kind, strict=False, dec_hook=other)


_WORDS = {
    "int": "integer",
    "str": "string",
    "bool": "boolean",
    "object": "table",
    "dict": "table",
    "list": "array",
    "Secret": "secret",
    "Path": "path",
    "PosixPath": "path",
    "timedelta": "duration (ISO 8601)",
    "NoneType": "null",
}


def _reworded(message: str, kind: Any) -> tuple[str, str]:
    """What msgspec says, in the words of TOML, and where within the option: ``[0]``, ``.name``, ``[...]``."""
    text, _, place = message.partition(" - at ")
    if text.startswith("Invalid enum value"):
        text = f"expected {in_words(kind)}, got" + text.removeprefix("Invalid enum value")
    text = re.sub(r"`([^`]*)`", lambda found: _union(found[1].split(" | ")), text)
    text = text[:1].lower() + text[1:]
    if place.startswith("`key` in "):  # what programs give: keys of a file are text
        text, place = f"a name in it: {text}", place.removeprefix("`key` in ")
    return text, place.strip("`").removeprefix("$")


def _union(names: list[str]) -> str:
    # TOML has no null: to say "or null" helps nobody.
    wanted = [name for name in names if name != "null"] or names
    return " or ".join(_WORDS.get(name, name) for name in wanted)


def in_words(kind: Any) -> str:
    """Return what a type takes, in the words of TOML."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return in_words(args[0])
    if origin in (Union, types.UnionType):
        return " or ".join(in_words(arg) for arg in args if arg is not types.NoneType)
    if origin is Literal:
        return " or ".join(repr(arg) for arg in args)
    if kind is Any:
        return "anything"
    base = origin or kind
    if isinstance(base, type):
        if issubclass(base, enum.Enum):
            return " or ".join(repr(member.value) for member in base)
        if issubclass(base, Mapping) or hasattr(base, "__struct_fields__"):
            return "table"
        if issubclass(base, (list, tuple, set, frozenset)):
            items = [arg for arg in args if arg is not Ellipsis]
            return "array of " + ", ".join(in_words(item) for item in items) if items else "array"
    name = getattr(base, "__name__", str(base))
    return _WORDS.get(name, name)


def alternatives(kind: Any) -> tuple[Any, ...]:
    """Return what a type stands for: the members of a union, without None and annotations."""
    if get_origin(kind) is Annotated:
        return alternatives(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(
            found for arg in get_args(kind) for found in alternatives(arg) if found is not types.NoneType
        )
    return (kind,)


def _struct_in(kind: Any) -> Any:
    structs = [found for found in alternatives(kind) if hasattr(found, "__struct_fields__")]
    return structs[0] if len(structs) == 1 else None


def _struct_in_list(kind: Any) -> Any:
    entries = [get_args(found)[0] for found in alternatives(kind) if get_origin(found) in (list, tuple)]
    return _struct_in(entries[0]) if len(entries) == 1 else None


def secret_fields(options_type: Any) -> frozenset[str]:
    """Return the (dotted) keys of the options that are secrets."""
    found = set()
    for field in msgspec.structs.fields(options_type):
        if Secret in alternatives(field.type):
            found.add(field.encode_name)
        inner = _struct_in(field.type)
        if inner is not None:
            found.update(f"{field.encode_name}.{key}" for key in secret_fields(inner))
    return frozenset(found)


def describe(options_type: Any) -> list[OptionInfo]:
    """Return what the options of a type are, in their order.

    What an option is for is said by ``Annotated[…, msgspec.Meta(description=…)]``, or in the section
    ``Args:`` or ``Attributes:`` of the docstring of the class or of one that it derives from.
    """
    documented: dict[str, str] = {}
    for base in reversed(options_type.__mro__):
        documented.update(_docstring_fields(base.__dict__.get("__doc__") or ""))
    return [
        OptionInfo(
            name=field.encode_name,
            type=in_words(field.type),
            required=field.required,
            default=_default(field),
            doc=_description(field.type) or documented.get(field.name, ""),
            secret=Secret in alternatives(field.type),
        )
        for field in msgspec.structs.fields(options_type)
    ]


def _default(field: Any) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else None


def _description(kind: Any) -> str:
    metas = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
    return next((meta.description for meta in metas if getattr(meta, "description", None)), "")


def _docstring_fields(docstring: str) -> dict[str, str]:
    """What a docstring of Google's style says of each argument or attribute."""
    found: dict[str, str] = {}
    name, inside = "", False
    for line in inspect.cleandoc(docstring).splitlines():
        if line and not line[0].isspace():
            inside = line.strip() in ("Args:", "Arguments:", "Attributes:", "Parameters:")
            name = ""
        elif inside and (start := re.match(r"(?:    |\t)(\w+)(?: \(.*?\))?:\s*(.*)", line)):
            name = start[1]
            found[name] = start[2].strip()
        elif inside and name and line.strip():
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found
