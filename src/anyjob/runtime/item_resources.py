"""Resources that differ from item to item of one ``run_many``: lists, or functions of the index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyjob.errors import SpecError
from anyjob.resources import Resources, make_resources


def differ(given: Mapping[str, Any]) -> bool:
    """Tell whether a resource is given for each item of its own."""
    return any(isinstance(value, (list, tuple)) or callable(value) for value in given.values())


def of_each(given: Mapping[str, Any], count: int) -> list[Resources]:
    """Return the resources of each of so many items; items that need the same share them.

    Raises:
        SpecError: a list has another length, or a value makes no sense.
    """
    from anyjob.ledger.encoding import encode_resources

    for key, value in given.items():
        if isinstance(value, (list, tuple)) and len(value) != count:
            raise SpecError(f"{key} is a list of {len(value)} for {count} items: give one for each")
    known: dict[bytes, Resources] = {}
    of_items = []
    for index in range(count):
        made = make_resources({key: _of_item(value, index) for key, value in given.items()})
        of_items.append(known.setdefault(encode_resources(made), made))
    return of_items


def _of_item(value: Any, index: int) -> Any:
    if isinstance(value, (list, tuple)):
        return value[index]
    return value(index) if callable(value) else value
