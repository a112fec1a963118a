"""What the metadata of a distribution tells of it, without importing anything."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec

from anyjob.registry.entry_points import API, API_VERSION, BACKENDS, COMMANDS, CORE, JOB_TYPES, PROVIDERS
from anyjob.registry.listing import WELL_KNOWN, ListingEntry
from anyjob.testing.diagnosis.findings import Finding
from anyjob.testing.diagnosis.requirements import Requirement, requirements

_CHECK_OF_STATE = {"duplicate": "shadowed", "broken": "name"}
"""The check that stands for a state of a listing, where it is not called the same."""

_HINTS = {
    "unreadable": "install it again, or uninstall it",
    "stale": "delete what is left over, or install the distribution again",
    "ambiguous": "uninstall one of them, or name the one that you mean as above",
    "incompatible": "pip install --upgrade {distribution}, or another version of anyjob",
    "blocked": "take it out of ANYJOB_DISABLE_PLUGINS, or into ANYJOB_ONLY_PLUGINS, to use it",
    "name": "have the authors choose another one",
    "shadowed": "nothing need be done; uninstall it where it is not meant to be there",
}


def check_states(lines: Sequence[ListingEntry]) -> Iterator[Finding]:
    """Yield what keeps entry points from answering to their names, as a listing says it."""
    taken = {(each.group, each.name): each.value for each in lines if each.state != "duplicate"}
    for line in lines:
        where = os.path.join(line.location, "entry_points.txt")
        entry = f"{line.group}:{line.name}" if line.group else ""
        if line.state == "duplicate" and taken.get((line.group, line.name), line.value) != line.value:
            message = f"{line.name} = {line.value} is passed over: {line.why}"
            yield Finding("twice", message, "have the authors give one of the two another name", where, entry)
        elif line.state != "ok":
            check = "unreadable" if not line.group else _CHECK_OF_STATE.get(line.state, line.state)
            yield Finding(check, line.why, _HINTS[check].format(distribution=line.distribution), where, entry)


def check_names(lines: Sequence[ListingEntry], commands: Sequence[str]) -> Iterator[Finding]:
    """Yield what is wrong with the names that a distribution registers.

    Args:
        lines: what it registers.
        commands: the names of anyjob's own subcommands.
    """
    for line in lines:
        where = os.path.join(line.location, "entry_points.txt")
        entry = f"{line.group}:{line.name}"
        unasked = [char for char in ":/" if char in line.name] if line.group in (BACKENDS, PROVIDERS) else []
        if line.group in (BACKENDS, PROVIDERS, JOB_TYPES, COMMANDS) and (
            unasked or not line.name or any(char.isspace() or char == ":" for char in line.name)
        ):
            message = (
                f"the name {line.name!r} cannot be asked for: blanks, ':' and '/' have a meaning of their own"
            )
            yield Finding("name", message, "have the authors choose a name without them", where, entry)
        if line.group == COMMANDS and line.name in commands:
            message = f"`anyjob {line.name}` is anyjob's own command, which goes before that of a plugin"
            yield Finding("hidden", message, "have the authors choose another name", where, entry)
        if line.group == JOB_TYPES and _needs_prefix(line):
            message = f"the kind {line.name!r} has no prefix: another plugin may mean something else by it"
            hint = f"have the authors call it by a prefix of their own, such as 'acme.{line.name}'"
            yield Finding("kind", message, hint, where, entry)


def _needs_prefix(line: ListingEntry) -> bool:
    known = WELL_KNOWN[JOB_TYPES].get(line.name)
    return line.distribution not in (CORE, known) and not line.name.partition(".")[2]


def check_metadata(line: ListingEntry) -> Iterator[Finding]:
    """Yield what is wrong with what a distribution declares as a whole; one of its lines stands for it."""
    if line.distribution == CORE:
        return
    where = os.path.join(line.location, "METADATA")
    required = requirements(line.source.metadata() or "")
    if not any(group == API for group, _, _ in line.source.entries()):
        yield Finding(
            "api",
            f"it does not say which plugin interface it was written for; {API_VERSION} is assumed",
            f'have the authors add [project.entry-points."{API}"] {API_VERSION} = "its package"',
            os.path.join(line.location, "entry_points.txt"),
        )
    yield from _check_types(line)
    yield from _check_bounds([each for each in required if each.name == CORE and not each.optional], where)
    for each in required:
        if not each.marker and each.name != CORE:
            yield from _check_installed(each, where)


def packages_of(line: ListingEntry) -> Iterator[ModuleSpec]:
    """Yield the packages, or modules, at the top that the entry points of a distribution are in."""
    from importlib.util import find_spec

    for package in sorted(
        {value.partition(":")[0].partition(".")[0] for _, _, value in line.source.entries()} - {CORE}
    ):
        try:
            spec = find_spec(package)  # of a package at the top, which is not imported for that
        except (ValueError, ImportError):
            continue
        if spec is not None:
            yield spec


def _check_types(line: ListingEntry) -> Iterator[Finding]:
    for spec in packages_of(line):
        if not spec.origin:
            continue
        marker = os.path.join(os.path.dirname(spec.origin), "py.typed")
        if not (spec.submodule_search_locations and os.path.exists(marker)):
            hint = "have the authors put an empty file py.typed into the package"
            yield Finding("untyped", f"type checkers do not see the types of {spec.name}", hint, spec.origin)


def _check_bounds(required: Sequence[Requirement], where: str) -> Iterator[Finding]:
    for each in required:
        yield from _check_installed(each, where)
    lacking = [
        words
        for words, there in (
            ("a lower", any(each.above for each in required)),
            ("an upper", any(each.below for each in required)),
        )
        if not there
    ]
    if not required:
        message = "it does not require anyjob, so that pip may install it beside any version, or without"
    elif lacking and not any(each.url for each in required):
        message = f"it requires {' and '.join(map(str, required))}, without {' and '.join(lacking)} bound"
    else:
        return
    hint = f'have the authors require, say, "{_example_bounds()}", as far as it was tested'
    yield Finding("bounds", message, hint, where)


def _example_bounds() -> str:
    from anyjob import __version__

    major, minor, *_ = map(int, re.findall(r"\d+", f"{__version__}.0"))
    return f"anyjob>={major}.{minor},<" + (f"{major}.{minor + 1}" if major == 0 else f"{major + 1}")


def _check_installed(required: Requirement, where: str) -> Iterator[Finding]:
    from importlib_metadata import PackageNotFoundError, version

    hint = f"pip install '{required}'"
    try:
        installed = version(required.name)
    except PackageNotFoundError:
        yield Finding("dependency", f"it requires {required}, which is not installed", hint, where)
        return
    if not required.takes(installed):
        message = f"it requires {required}, and {required.name} {installed} is installed"
        yield Finding("dependency", message, hint, where)
