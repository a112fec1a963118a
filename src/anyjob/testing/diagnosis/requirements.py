"""What a distribution requires: the lines of its metadata, and whether a version is one that they take.

Versions compare as `anyjob.registry.discovery.version_key` has them. packaging would judge markers as well,
but it is no dependency of anyjob: what is required under some condition only is left unjudged.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from anyjob.registry.discovery import version_key
from anyjob.registry.metadata import normalise

_LINE = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*"
    r"(?:@\s*(?P<url>[^\s;]+)|\(?(?P<bounds>[^;()]*)\)?)\s*(?:;(?P<marker>.*))?$"
)
_BOUND = re.compile(r"\s*(===|~=|==|!=|<=|>=|<|>)\s*([^\s,]+)\s*")
_LOWER = (">=", ">", "==", "===", "~=")
_UPPER = ("<=", "<", "==", "===", "~=")


class Requirement(NamedTuple):
    """One line ``Requires-Dist``.

    Args:
        name: of the distribution, normalised.
        bounds: operator and version, of each condition.
        marker: what it depends on, such as ``extra == "test"``; empty for what is required always.
        url: where it is to be had from, if that is said.
    """

    name: str
    bounds: tuple[tuple[str, str], ...] = ()
    marker: str = ""
    url: str = ""

    @property
    def below(self) -> bool:
        """Whether it says which versions are too new."""
        return any(operator in _UPPER for operator, _ in self.bounds)

    @property
    def above(self) -> bool:
        """Whether it says which versions are too old."""
        return any(operator in _LOWER for operator, _ in self.bounds)

    @property
    def optional(self) -> bool:
        """Whether it is required by an extra only."""
        return "extra" in self.marker

    def takes(self, version: str) -> bool:
        """Return whether this version is within all bounds."""
        return all(_within(version, operator, bound) for operator, bound in self.bounds)

    def __str__(self) -> str:
        return self.name + ",".join(map("".join, self.bounds))


def requirements(metadata: str) -> list[Requirement]:
    """Return what the text of a METADATA file requires; lines that make no sense are left out."""
    head = metadata.partition("\n\n")[0]
    lines = (line.partition(":") for line in head.splitlines())
    found = (parse(value) for key, _, value in lines if key.lower() == "requires-dist")
    return [each for each in found if each is not None]


def parse(text: str) -> Requirement | None:
    """Return what one line ``Requires-Dist`` says, or None where it makes no sense."""
    match = _LINE.match(text)
    if match is None:
        return None
    parts = [part for part in (match["bounds"] or "").split(",") if part.strip()]
    bounds = [_BOUND.fullmatch(part) for part in parts]
    known = tuple((bound[1], bound[2]) for bound in bounds if bound is not None)
    if len(known) < len(parts):
        return None
    return Requirement(normalise(match["name"]), known, (match["marker"] or "").strip(), match["url"] or "")


def _within(version: str, operator: str, bound: str) -> bool:
    if operator == "===":
        return version == bound
    if operator == "~=":
        prefix = ".".join(bound.split(".")[:-1]) or bound
        return _within(version, ">=", bound) and _starts(version, prefix)
    if operator in ("==", "!="):
        same = _starts(version, bound[:-2]) if bound.endswith(".*") else _same(version, bound)
        return same is (operator == "==")
    ours, theirs = version_key(version.partition("+")[0]), version_key(bound)
    return (
        ours >= theirs
        if operator == ">="
        else ours <= theirs
        if operator == "<="
        else (ours > theirs if operator == ">" else ours < theirs)
    )


def _same(version: str, bound: str) -> bool:
    if "+" not in bound:
        version = version.partition("+")[0]
    return version_key(version) == version_key(bound)


def _starts(version: str, prefix: str) -> bool:
    epoch, parts, _ = version_key(version)
    wanted_epoch, _, _ = version_key(prefix)
    wanted = [int(part) for part in re.findall(r"\d+", prefix.rpartition("!")[2])]
    return bool(epoch == wanted_epoch and [*parts, *[0] * len(wanted)][: len(wanted)] == wanted)
