"""What a configuration tells of this machine, checked: memory, GPUs, and what is counted by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anyjob.builtin.refusals import LEAST_MEMORY
from anyjob.config.counts import OF_THE_MACHINE, read_counts
from anyjob.errors import ConfigError, SpecError
from anyjob.text import units


def memory(name: str, value: int | str | None) -> int | None:
    """Return an amount of memory in bytes.

    Raises:
        ConfigError: it makes no sense, or is less than one call needs.
    """
    try:
        size = None if value is None else units.parse_memory(value, what=name)
    except SpecError as error:
        raise ConfigError(str(error)) from None
    least = LEAST_MEMORY["python"]
    if size is not None and size < least:
        raise ConfigError(
            f"{name}: {value!r} is {units.format_memory(size)}, and one call of Python needs "
            f"{units.format_memory(least)}: bytes are meant where no unit is named, as in '8GiB'"
        )
    return size


def gpus(value: int | Sequence[int | str] | None) -> int | tuple[str, ...] | None:
    """Return how many GPUs there are, or their ids.

    Raises:
        ConfigError: an id is none, or is there twice.
    """
    if value is None:
        return None
    if isinstance(value, int):
        if value < 0:
            raise ConfigError(f"gpus: {value} does not do: it is how many there are, or a list of their ids")
        return value
    ids = tuple(map(str, value))
    for each in ids:
        if not each.isascii() or not each.replace("-", "").replace("/", "").replace(":", "").isalnum():
            raise ConfigError(f"gpus: {each!r} is no id of a GPU: those are 0, 1, …, GPU-… or MIG-…")
        if ids.count(each) > 1:
            raise ConfigError(f"gpus: {each!r} is there twice")
    return ids


def counts(name: str, table: Mapping[str, int]) -> dict[str, int]:
    """Return how much there is of what is counted by name.

    Args:
        name: of the option.
        table: what it says.

    Raises:
        ConfigError: a count is negative, or has the name of what is told by itself.
    """
    try:
        return read_counts(table, OF_THE_MACHINE if name == "shared" else ())
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from None
