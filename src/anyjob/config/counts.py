"""What a machine has so much of, counted under names: the table ``resources``, and that of a backend."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from anyjob.errors import ConfigError, SpecError
from anyjob.resources import Resources
from anyjob.text import units

OF_THE_MACHINE = ("cpus", "memory")
"""What the table at the top may have beside names of its own: cores, and memory."""


def read_counts(table: Mapping[str, Any], also: Collection[str] = ()) -> dict[str, int]:
    """Return how much there is, by name.

    Args:
        table: as it is configured.
        also: names of what jobs ask for by itself, which may be there, too.

    Raises:
        ConfigError: a value makes no sense, or has the name of what is told elsewhere.
    """
    counts = {}
    for name, value in table.items():
        if name in Resources.__struct_fields__ and name not in also:
            raise ConfigError(f"{name}: that is told by itself, as an option of a backend")
        try:
            if name == "memory":
                counts[name] = units.parse_memory(value)
            else:
                counts[name] = units.parse_count(value, what=name, minimum=1 if name == "cpus" else 0)
        except SpecError as error:
            raise ConfigError(str(error)) from None
    return counts
