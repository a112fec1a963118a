"""Resources that differ from item to item of one ``run_many``: lists, or functions of the index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyjob.errors import SpecError
from anyjob.resources import Resources, make_resources


def differ(given: Mapping[str, Any]) -> bool:
    """Tell whether a resource is given for each item of its own."""
    return any(isinstance(value, (list, tuple)) or callable(value) for value in given.values())


def group(given: Mapping[str, Any], count: int) -> list[tuple[Resources, list[int]]]:
    """Return the resources of so many items, each once, with the indices of the items that have them.

    Raises:
        SpecError: a list has another length, or a value makes no sense.
    """
    from anyjob.ledger.encoding import encode_resources

    for key, value in given.items():
        if isinstance(value, (list, tuple)) and len(value) != count:
            raise SpecError(f"{key} is a list of {len(value)} for {count} items: give one for each")
    groups: dict[bytes, tuple[Resources, list[int]]] = {}
    for index in range(count):
        made = make_resources({key: _of_item(value, index) for key, value in given.items()})
        groups.setdefault(encode_resources(made), (made, []))[1].append(index)
    return list(groups.values())


def _of_item(value: Any, index: int) -> Any:
    if isinstance(value, (list, tuple)):
        return value[index]
    return value(index) if callable(value) else value
