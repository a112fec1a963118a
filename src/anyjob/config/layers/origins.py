"""Where configured values came from, so that an error about one can say it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Path = tuple[str, ...]  # the keys that lead to a value, from the top


class Origin:
    """Where a configured value came from.

    Args:
        layer: ``built-in``, ``system``, ``user``, ``project``, ``environment``, ``arguments``, or
            ``program`` for what a program gave to `Config.from_dict`.
        file: the file, where there is one.
        line: the line in it, from 1, where it is known.
        label: what to call it otherwise: the variable, or what the program called it.
    """

    __slots__ = ("file", "label", "layer", "line")

    def __init__(self, layer: str, file: str | None = None, line: int | None = None, label: str = "") -> None:
        self.layer, self.file, self.line, self.label = layer, file, line, label

    def __str__(self) -> str:
        if self.file is None:
            return self.label or self.layer
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __repr__(self) -> str:
        return f"Origin({self.layer!r}, {self.file!r}, {self.line!r}, {self.label!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and repr(other) == repr(self)

    def __hash__(self) -> int:
        return hash(repr(self))


class Values(dict[str, "Any"]):
    """The options of one backend or provider: a dict that also knows where each came from.

    Args:
        values: the options.
        place: the table that they stand in, such as ``backends.hpc``.
        origins: by dotted key within that table; the table's own under ``""``.
    """

    def __init__(self, values: Mapping[str, Any], place: str, origins: Mapping[str, Origin]) -> None:
        super().__init__(values)
        self.place, self.origins = place, origins

    def where(self, key: str = "") -> str:
        """Return the place of a (dotted) key, for an error: ``anyjob.toml:3: backends.hpc.slots``.

        That of the entry of an array is ``slots[2]``.
        """
        known = key if key in self.origins else key.replace("[", ".[")
        while known and known not in self.origins:
            known = known.rpartition(".")[0]
        full = f"{self.place}.{key}" if key else self.place
        return f"{self.origins[known]}: {full}" if known in self.origins else full

    @property
    def textual(self) -> frozenset[str]:
        """The dotted keys whose values are text for want of types: those of the environment."""
        return frozenset(key for key, origin in self.origins.items() if origin.layer == "environment")


def placed(why: str, values: Mapping[str, Any], key: str = "") -> tuple[str, str]:
    """Return which key a message is about, by the keys that it begins with, and the rest of it.

    Args:
        why: as in ``resources: gpus: is told by itself``.
        values: what it is about.
        key: the (dotted) key of that.
    """
    within: Any = values
    while True:
        first, colon, rest = why.partition(": ")
        if not colon or not isinstance(within, dict) or first not in within:
            return key, why
        key, within, why = (f"{key}.{first}" if key else first), within[first], rest
