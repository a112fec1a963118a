"""Layers of configuration, and how they merge: see `anyjob.config.settings` for which there are."""

from __future__ import annotations

from anyjob.config.layers.origins import Origin
from anyjob.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from anyjob.config.layers.origins import Path

GROUPS = ("backends", "providers")


class Layer:
    """One source of configuration, found or only looked for.

    Args:
        name: as the ``layer`` of an `Origin`.
        file: the file, where there is one.
        values: what it says; None where it is not there, or was ignored.
        note: why it was ignored, or what it stands in for.
        origin: where the value at a path came from.
    """

    __slots__ = ("file", "name", "note", "origin", "values")

    def __init__(
        self,
        name: str,
        file: str | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        note: str = "",
        origin: Callable[[Path], Origin] | None = None,
    ) -> None:
        self.name, self.file, self.values, self.note = name, file, values, note
        self.origin = origin or (lambda path: Origin(name, file))

    @property
    def found(self) -> bool:
        """Whether it is there, and counts."""
        return self.values is not None

    def __repr__(self) -> str:
        return f"<Layer {self.name} {self.file or ''}{'' if self.found else ' (not used)'}>"


def merge(layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[Path, Origin]]:
    """Return what holds in the end, and where the value at each path came from.

    Args:
        layers: from the weakest.

    Raises:
        ConfigError: a key is no text.
    """
    values: dict[str, Any] = {}
    origins: dict[Path, Origin] = {}
    for layer in layers:
        if layer.values:
            _merge_into(plain_copy(layer.values, layer.note), values, origins, layer.origin)
    return values, origins


def _merge_into(
    new: dict[str, Any],
    values: dict[str, Any],
    origins: dict[Path, Origin],
    origin: Callable[[Path], Origin],
    path: Path = (),
) -> None:
    for key, value in new.items():
        here, old = (*path, key), values.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and _is_mergeable(here, old, value):
            _merge_into(value, old, origins, origin, here)
            continue
        if key in values:
            for gone in [known for known in origins if known[: len(here)] == here]:
                del origins[gone]
        values[key] = value
        _record(value, origins, origin, here)


def _record(value: Any, origins: dict[Path, Origin], origin: Callable[[Path], Origin], path: Path) -> None:
    origins[path] = origin(path)
    if isinstance(value, dict):
        for key, item in value.items():
            _record(item, origins, origin, (*path, key))
    elif isinstance(value, list):
        for number in range(len(value)):
            entry = (*path, f"[{number}]")
            if (own := origin(entry)) != origins[path]:  # an array that goes over several lines
                origins[entry] = own


def _is_mergeable(path: Path, old: dict[str, Any], new: dict[str, Any]) -> bool:
    from anyjob.config.secrets import is_reference

    if is_reference(old) or is_reference(new):
        return False
    is_entry = len(path) == 2 and path[0] in GROUPS
    return not (is_entry and "type" in new and old.get("type", new["type"]) != new["type"])


def plain_copy(value: Any, where: str = "") -> Any:
    """Return a copy whose mappings are dicts with text for keys, and whose sequences are lists.

    Raises:
        ConfigError: a key is no text.
    """
    if hasattr(value, "items"):
        for key in value:
            if not isinstance(key, str):
                raise ConfigError(f"{where or 'configuration'}: the key {key!r} is no text")
        return {key: plain_copy(item, where) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_copy(item, where) for item in value]
    return value
