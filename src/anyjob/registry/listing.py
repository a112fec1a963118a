"""What is known of the installed plugins, in words: the lines of a listing, and who was meant by a name.

Nothing here is needed to look a name up that somebody answers to.
"""

from __future__ import annotations

from anyjob import _typing as t
from anyjob.registry.discovery import Scan
from anyjob.registry.entry_points import (
    API,
    BACKENDS,
    COMMANDS,
    CORE,
    JOB_TYPES,
    PLUGINS,
    PROVIDERS,
    Reference,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from anyjob.registry.conflicts import ConflictResolver

WELL_KNOWN = {
    BACKENDS: {
        "slurm": "anyjob-slurm",
        "gridengine": "anyjob-gridengine",
        "pbs": "anyjob-pbs",
        "flux": "anyjob-flux",
        "dask": "anyjob-dask",
        "ray": "anyjob-ray",
        "ssh": "anyjob-ssh",
        "aer": "anyjob-qiskit",
    },
    JOB_TYPES: {"circuit": "anyjob-qiskit", "estimate": "anyjob-qiskit"},
    PROVIDERS: {"qiskit": "anyjob-qiskit"},
    COMMANDS: {"dashboard": "anyjob-dashboard", "mcp": "anyjob-mcp", "remote": "anyjob-ssh"},
}
"""Of each group the names that anyjob's own plugins bring, and the distributions that these come in."""


class ListingEntry:
    """One line of a listing.

    Attributes:
        group, name, value: the entry point; empty where it cannot be read.
        distribution, version, location: what brings it, and where its metadata is; empty for what a
            program registered.
        source: the metadata of what brings it.
        api: the versions of the plugin interface that it was written for, such as ``"v1"``.
        renamed: the name that has taken the place of this one; empty where none has.
        deprecated: whether this name is not to be used any more: it was renamed, or is going to be removed.
        state: ``ok``; ``ambiguous`` (several answer to the name); ``blocked`` (switched off by the
            environment); ``incompatible`` (written for another plugin interface); ``stale`` (left over
            from another version); ``duplicate`` (somebody else answers, to no harm); ``broken`` (cannot
            be read, has a name that is none or, of hook plugins, cannot be loaded).
        why: what is behind the state, in words; empty for ``ok``.
    """

    __slots__ = (
        "api", "deprecated", "distribution", "group", "location", "name", "renamed", "source", "state",
        "value", "version", "why",
    )  # fmt: skip

    def __init__(self, reference: Reference, state: str, why: str) -> None:
        self.group = reference.group
        self.name = reference.name
        self.value = reference.value
        self.distribution = reference.distribution
        self.version = reference.version
        self.location = reference.location
        self.source = reference.source
        self.api = ", ".join(reference.api)
        self.renamed = reference.renamed
        self.deprecated = reference.deprecated
        self.state = state
        self.why = why

    @property
    def usable(self) -> bool:
        """Whether the name can be asked for; an ambiguous one, by naming the distribution too."""
        return self.state in ("ok", "ambiguous")

    @property
    def summary(self) -> str:
        """What the distribution is, in one line, as its metadata has it."""
        return self.source.summary

    @property
    def links(self) -> dict[str, str]:
        """The addresses that its metadata names, by what they lead to."""
        return self.source.links

    @property
    def docs(self) -> str:
        """The address of its documentation; empty where its metadata names none."""
        return next((url for label, url in self.links.items() if label.lower()[:3] == "doc"), "")

    @property
    def editable(self) -> str:
        """The directory of its sources, where it is installed in editable mode; else empty."""
        return self.source.editable

    def to_dict(self) -> dict[str, t.Any]:
        """Return all of it by name, ``source`` aside."""
        names = [name for name in self.__slots__ if name != "source"]
        return {name: getattr(self, name) for name in [*names, "editable", "summary", "links", "docs"]}

    def __repr__(self) -> str:
        return (
            f"<ListingEntry {self.group}: {self.name} from {self.distribution or 'a program'}, {self.state}>"
        )


def group_contenders(references: Iterable[Reference]) -> list[list[Reference]]:
    """Return those that contend for one thing together: a name, or to be loaded as a hook plugin."""
    found: dict[tuple[str, ...], list[Reference]] = {}
    for each in references:
        if each.group == PLUGINS:  # by what they load, since their names say nothing
            key: tuple[str, ...] = (each.value,)
        elif each.group == API:
            key = (each.name, each.distribution)
        else:
            key = (each.name,)
        found.setdefault(key, []).append(each)
    return list(found.values())


def list_group(
    group: str,
    scan: Scan,
    resolver: ConflictResolver,
    registered: Sequence[Reference],
    dynamic: Sequence[Reference],
    problems: Mapping[Reference, Exception],
) -> list[ListingEntry]:
    """Return the lines of one group.

    Args:
        group: an entry-point group.
        scan: what is installed.
        resolver: says of those that contend for one name who answers.
        registered: what the program has registered; it answers before all else.
        dynamic: what plugins have registered; it answers where nothing else does.
        problems: the hook plugins that could not be loaded, and why.
    """
    installed = scan.find(group)
    taken = {each.name for each in registered}
    resolutions = [
        resolution for found in group_contenders(installed) for resolution in resolver.resolve(found)
    ]
    for reference in dynamic:
        if any(reference.name == each.name for each in installed):
            resolutions.append((reference, "duplicate", "an entry point answers to this name"))
        else:
            resolutions += resolver.resolve([reference])
    listed = [ListingEntry(reference, "ok", "") for reference in registered]
    for each, state, why in resolutions:
        if each.name in taken:
            state, why = "duplicate", "the program registered this name"
        elif each in problems:
            state, why = "broken", str(problems[each])
        listed.append(ListingEntry(each, state, why))
    for ignored in scan.ignored:
        listed += [ListingEntry(each, ignored.state, ignored.why) for each in ignored.references(group)]
    return listed


def unreadable_entries(scan: Scan) -> list[ListingEntry]:
    """Return a line for each distribution whose entry points cannot be read."""
    return [ListingEntry(Reference("", "", "", source), "broken", why) for source, why in scan.unreadable()]


def unknown_name_message(
    kind: str,
    group: str,
    name: str,
    listed: Sequence[ListingEntry],
    elsewhere: Sequence[str],
    problems: Iterable[Exception],
    scan: Scan,
) -> str:
    """Say that nobody answers to a name, what may have been meant, and what may be in the way.

    Args:
        kind: what the names of the group are called.
        group: the entry-point group.
        name: what was asked for.
        listed: all lines of the group.
        elsewhere: of what other kinds there is something of that name.
        problems: why hook plugins, which may bring names, could not be loaded.
        scan: what is installed.
    """
    from difflib import get_close_matches

    from anyjob.text.suggestions import few

    names = sorted({each.name for each in listed if each.usable})
    well_known = WELL_KNOWN.get(group, {})
    brought_by = {
        each: pip for of, known in WELL_KNOWN.items() if of != COMMANDS for each, pip in known.items()
    }
    absent = [name] if name in brought_by else get_close_matches(name, {*well_known} - {*names}, 3, 0.75)
    near = [] if name in brought_by else get_close_matches(name, names, 3, 0.6)
    hints = []
    if near:
        hints.append(f"did you mean {' or '.join(map(repr, sorted(near)))}?")
    hints.append(f"installed: {few(name, names) or 'none'}")
    hints += [
        f"{each!r} comes with: pip install {brought_by[each]}"
        for each in absent
        if each not in names and not elsewhere
    ]
    hints += [f"{name!r} is a {other}" for other in elsewhere]
    hints += [
        f"{each.location} has it, but {each.why}"
        for each in listed
        if each.name == name and each.state in ("stale", "duplicate")
    ]
    hints += [f"a plugin that may bring names is broken: {problem}" for problem in problems]
    hints += [f"{source.location} cannot be read: {why}" for source, why in scan.unreadable()]
    if not any(source.distribution == CORE for source in scan.sources):
        hints.append("anyjob itself is not installed here, only imported, so its own names are missing")
    return f"no {kind} is called {name!r}; " + "; ".join(hints)
