"""Placeholders in the strings of a job file: ``{name}``, ``{name:format}``, and ``{{`` for a brace.

What is filled in may be any tree of tables, lists and strings; a place in it is written as in
``command.argv[2]``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from anyjob.text.toml import InvalidEntry, type_name


def iter_strings(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield every string of a tree, with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from iter_strings(f"{place}.{key}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from iter_strings(f"{place}[{index}]", item)


def placeholder_names(place: str, text: str) -> list[str]:
    """Return the names of the parameters in a text, in their order.

    Raises:
        InvalidEntry: it has a lone brace.
    """
    return [name for _, name, _ in _parts(place, text) if name]


def fill(place: str, value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a tree with its placeholders filled in; alone in its string, a parameter keeps its type.

    Raises:
        InvalidEntry: a parameter's value does not fit its format, or does not go into text.
    """
    if isinstance(value, dict):
        return {key: fill(f"{place}.{key}", item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(f"{place}[{i}]", item, parameters) for i, item in enumerate(value)]
    if not isinstance(value, str) or ("{" not in value and "}" not in value):
        return value
    parts = _parts(place, value)
    if len(parts) == 1 and parts[0][1] and not parts[0][2]:
        return parameters[parts[0][1]]
    return "".join(_part(place, *part, parameters) for part in parts)


def to_text(place: str, value: Any, what: str) -> str:
    """Return a value as text: booleans as in TOML, dates as in ISO 8601.

    Args:
        place: where it is to go.
        value: the value.
        what: how an error about it begins, such as ``{x} is``.

    Raises:
        InvalidEntry: it is a table or a list.
    """
    if isinstance(value, (dict, list)):
        raise InvalidEntry(place, f"{what} {type_name(value)}, which does not go into text")
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _part(place: str, literal: str, name: str, spec: str, parameters: Mapping[str, Any]) -> str:
    if not name:
        return literal
    value = parameters[name]
    if not spec:
        return to_text(place, value, f"{{{name}}} is")
    try:
        if any(int(digits) > WIDEST for digits in re.findall("[0-9]+", spec)):
            raise ValueError(f"nothing may be wider than {WIDEST:,} characters")
        return format(value, spec)
    except (TypeError, ValueError) as error:
        raise InvalidEntry(
            place, f"{{{name}:{spec}}} does not fit {type_name(value)} {value!r}: {error}"
        ) from None


WIDEST = 10_000
"""Characters that a format may ask for: it would make that much text of nothing."""
_PART = re.compile(r"(\{\{|\}\})|\{([A-Za-z_][A-Za-z0-9_]*)(?::([^{}]*))?\}|([^{}]+)|([{}])")


def _parts(place: str, text: str) -> tuple[tuple[str, str, str], ...]:
    parts, brace = _split(text)
    if brace:
        raise InvalidEntry(
            place,
            f"there is a lone {brace!r} in {text!r}: a parameter is {{name}} or {{name:format}}, "
            f"and a brace is written {brace * 2!r}",
        )
    return parts


@functools.lru_cache(maxsize=4096)
def _split(text: str) -> tuple[tuple[tuple[str, str, str], ...], str]:
    """A text as literals ``(text, "", "")`` and parameters ``("", name, format)``; and a lone brace."""
    parts = []
    for doubled, name, spec, literal, brace in _PART.findall(text):
        if brace:
            return (), brace
        parts.append(("", name, spec) if name else (literal or doubled[0], "", ""))
    return tuple(parts), ""
