"""The matrix of a job file: its axes, and the combinations of their values."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from anyjob.text.suggestions import did_you_mean
from anyjob.text.toml import InvalidEntry, require_known_keys, type_name

MOST_JOBS = 1_000_000
"""Jobs that one file may make: a matrix grows fast by mistake."""


class Matrix(NamedTuple):
    """A matrix that makes sense, as far as can be told without going through it.

    Args:
        axes: the values of each; the last one is the fastest.
        included: combinations to add where the axes do not make them, or all that there are without axes.
        excluded: what combinations to leave out have in common.
    """

    axes: Mapping[str, Sequence[Any]]
    included: Sequence[Mapping[str, Any]]
    excluded: Sequence[Mapping[str, Any]]

    @property
    def names(self) -> list[str]:
        """The names that every combination has."""
        return list(self.axes or (self.included[0] if self.included else ()))

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Yield each combination; without axes and included ones, that is one of nothing.

        Raises:
            InvalidEntry: nothing is left of the matrix.
        """
        count = 0
        listed_only = not self.axes and bool(self.included)
        for values in () if listed_only else itertools.product(*self.axes.values()):
            combination = dict(zip(self.axes, values, strict=True))
            if not self._is_excluded(combination):
                count += 1
                yield combination
        for row in self.included if listed_only else self._beside_axes():
            count += 1
            yield dict(row)
        if not count:
            raise InvalidEntry("matrix.exclude", "leaves nothing of the matrix")

    def _is_excluded(self, combination: Mapping[str, Any]) -> bool:
        return any(row.items() <= combination.items() for row in self.excluded)

    def _beside_axes(self) -> Iterator[Mapping[str, Any]]:
        """Yield the included ones that the axes do not make, as they may by ``-p AXIS=VALUE``."""
        has = {name: _finder(values) for name, values in self.axes.items()}
        for row in self.included:
            if self._is_excluded(row) or not all(has[name](row[name]) for name in has):
                yield row


def _finder(values: Sequence[Any]) -> Callable[[Any], bool]:
    if isinstance(values, range):
        return lambda value: type(value) is int and value in values
    written = {_written(value) for value in values}
    return lambda value: _written(value) in written


def with_axes(table: Mapping[str, Any], axes: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return the table of a matrix with other values for some of its axes.

    Raises:
        InvalidEntry: it has no such axis.
    """
    known = [name for name in table if name not in ("include", "exclude")]
    for name in axes:
        if name not in known:
            raise InvalidEntry("", f"there is no axis {name!r} in its matrix{did_you_mean(name, known)}")
    return {**table, **{name: list(values) for name, values in axes.items()}}


def read_matrix(table: Mapping[str, Any], *, is_given: bool) -> Matrix:
    """Make sense of the table of a matrix.

    Args:
        table: what the file has.
        is_given: whether it has one at all; an empty one is a mistake.

    Raises:
        InvalidEntry: it makes no sense.
    """
    table = dict(table)
    included = _rows("matrix.include", table.pop("include", []))
    excluded = _rows("matrix.exclude", table.pop("exclude", []))
    axes = {name: _axis(f"matrix.{name}", value) for name, value in table.items()}
    if is_given and not axes and not included:
        raise InvalidEntry("matrix", "is empty: give it an axis, such as order = [1, 2, 3], or drop it")
    count = math.prod(map(len, axes.values())) + len(included)
    if count > MOST_JOBS:
        raise InvalidEntry("matrix", f"makes {count:,} jobs; a file may make {MOST_JOBS:,} at most: split it")
    matrix = Matrix(axes, included, excluded)
    for row in excluded:
        require_known_keys("matrix.exclude", row, tuple(axes))
    for row in included:
        require_known_keys("matrix.include", row, matrix.names)
        missing = [name for name in matrix.names if name not in row]
        if missing:
            raise InvalidEntry(
                "matrix.include", f"every entry gives every parameter; one lacks {missing[0]!r}"
            )
    _refuse_twice("matrix.include", included, "entry")
    return matrix


def _rows(place: str, value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) and row for row in value):
        raise InvalidEntry(place, "expected a list of tables, each with a parameter or more: [{ order = 3 }]")
    return value


def _axis(place: str, value: Any) -> Sequence[Any]:
    values: Sequence[Any]
    if isinstance(value, dict) and list(value) == ["range"]:
        values = _range(place, value["range"])
    elif isinstance(value, list):
        values = value
    else:
        raise InvalidEntry(
            place, f"expected a list of values, or {{ range = [start, stop] }}, got {type_name(value)}"
        )
    if not values:
        raise InvalidEntry(
            place, "the axis is empty, and so would be the matrix: give it a value, or drop it"
        )
    if not isinstance(values, range):
        _refuse_twice(place, values, "value")
    return values


def _refuse_twice(place: str, values: Sequence[Any], what: str) -> None:
    """Have each value once: who gives one twice would have the same work done twice, and see it nowhere."""
    seen = set()
    for value in values:
        written = _written(value)
        if written in seen:
            raise InvalidEntry(place, f"the {what} {written} is there twice: the same job would run twice")
        seen.add(written)


def _written(value: Any) -> str:
    """Return a value as text: other than `==`, that tells 1 from true and from 1.0."""
    return json.dumps(value, default=str, sort_keys=True)


def _range(place: str, bounds: Any) -> Sequence[int]:
    whole = isinstance(bounds, list) and all(type(bound) is int for bound in bounds)
    if not whole or len(bounds) not in (2, 3) or bounds[2:] == [0]:
        raise InvalidEntry(place, "range: expected [start, stop] or [start, stop, step], of whole numbers")
    values = range(*bounds)
    try:
        len(values)
    except OverflowError:
        raise InvalidEntry(place, f"a file may make {MOST_JOBS:,} jobs at most: split it") from None
    return values
