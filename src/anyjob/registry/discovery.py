"""Entry points to references, without importing any plugin.

Which of several copies of a distribution counts is decided in one place, `_SourceSelection`. As
`anyjob.registry.metadata`, this module is on the path of every start.
"""

from __future__ import annotations

from anyjob.registry.entry_points import API, API_VERSION, GROUPS, Reference
from anyjob.registry.metadata import GROUP_PREFIX, discover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from anyjob.registry.metadata import Source


class IgnoredSource:
    """A copy of a distribution that does not count: ``source``, ``state`` and ``why``."""

    __slots__ = ("source", "state", "why")

    def __init__(self, source: Source, state: str, why: str) -> None:
        self.source = source
        self.state = state
        self.why = why

    def references(self, group: str) -> list[Reference]:
        """Return what it would bring to a group."""
        return [each for each in _references(self.source) if each.group == group]


class Scan:
    """What is installed on a path, at the time when this was made.

    Attributes:
        sources: the distributions that mention anyjob and count.
        ignored: those that do not: stale, or shadowed by one that is found before.
    """

    def __init__(self, path: Iterable[str]) -> None:
        selection = _SourceSelection(discover(path))
        self.sources = selection.chosen
        self.ignored = selection.ignored
        self._roots = selection.roots

    def find(self, group: str, name: str | None = None) -> list[Reference]:
        """Return who answers to a name of a group (or to any), in the order of the path."""
        wanted = group.encode()
        word = b"" if name is None else name.encode("utf-8", "replace")
        found = [
            reference
            for source in [each for each in self.sources if word in each.data and wanted in each.data]
            for reference in _references(source)
            if reference.group == group and (name is None or reference.name == name)
        ]
        # Directories list their children in any order; answers must come in one.
        found.sort(key=lambda each: (self._roots[each.root], each.distribution))
        return found

    def unreadable(self) -> list[tuple[Source, str]]:
        """Return the distributions whose entry points cannot be read, and why."""
        found = []
        for source in self.sources:
            try:
                source.entries()
            except ValueError as error:
                found.append((source, str(error)))
        return found


def version_key(version: str) -> tuple[Any, ...]:
    """Return what versions sort by: as PEP 440 has it, for all that follow it, and never failing."""
    import re

    epoch, _, rest = version.lower().strip().lstrip("v").rpartition("!")
    numbers = re.match(r"[\d.]*", rest)
    release = numbers.group() if numbers else ""
    parts = [int(part) for part in release.split(".") if part]
    while parts and not parts[-1]:
        parts.pop()
    words = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, "post": 1, "r": 1, "rev": 1}
    tail: list[tuple[int, str | int]] = []
    for word, number, plus in re.findall(r"([a-z]+)|(\d+)|(\+.*)", rest[len(release) :]):
        if plus:  # a local version: after the same without, before all else
            tail += [(0, plus)]
        elif word:
            tail.append((words.get(word, -1), 0))
        else:
            tail.append((2, int(number)))
    return (int(epoch) if epoch.isdecimal() else 0, parts, [*tail, (0, "")])


class _SourceSelection:
    """Which of several copies of a distribution counts.

    One with metadata comes before one without (what is left of a removed one), then the one that is
    found first on the path, as imports have it, and in one directory the highest version.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self.ignored: list[IgnoredSource] = []
        self.roots: dict[str, int] = {}
        only: dict[str, Source] = {}
        copies: dict[str, list[Source]] = {}
        for source in sources:
            first = only.setdefault(source.distribution, source)
            if first is not source:
                copies.setdefault(source.distribution, [first]).append(source)
            self.roots.setdefault(source.root, len(self.roots))
        for name, group in copies.items():
            if any(GROUP_PREFIX in source.data for source in group):
                only[name] = self._choose(group)
        self.chosen = [source for source in only.values() if GROUP_PREFIX in source.data]
        for source in [each for each in self.chosen if each.distribution.startswith("~")]:
            self.chosen.remove(source)
            self._ignore(source, "stale", "pip left it behind when it removed the distribution: delete it")

    def _choose(self, group: list[Source]) -> Source:
        complete = [source for source in group if source.metadata() is not None]
        first = min(complete or group, key=lambda source: self.roots[source.root])
        best = max(
            (source for source in complete or group if source.root == first.root),
            key=lambda source: (version_key(source.version), source.location),
        )
        for source in group:
            if source is best:
                continue
            if complete and source not in complete:
                why = f"it has no METADATA, and {best} in {best.location} has: delete it"
                self._ignore(source, "stale", why)
            elif source.root == best.root:
                why = f"{best} is in the same directory: delete this one, or install the distribution again"
                self._ignore(source, "stale", why)
            else:
                why = f"imports find {best} in {best.location} before"
                self._ignore(source, "duplicate", why)
        return best

    def _ignore(self, source: Source, state: str, why: str) -> None:
        if GROUP_PREFIX in source.data:
            self.ignored.append(IgnoredSource(source, state, why))


def _references(source: Source) -> list[Reference]:
    try:
        entries = source.entries()
    except ValueError:
        return []
    api = tuple(name for group, name, _ in entries if group == API) or (API_VERSION,)
    return [Reference(*entry, source, api) for entry in entries if entry[0] in GROUPS]
