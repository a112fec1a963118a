"""Which plugins are switched on: by the environment, by the configuration, and by who makes a registry."""

from __future__ import annotations

from anyjob.errors import ConfigError
from anyjob.registry.entry_points import CORE, GROUPS, Reference
from anyjob.registry.metadata import normalise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Lists = list[tuple[str, list[str]]]  # what a list is called, and what is in it


class Selection:
    """Says which plugins are switched off.

    A plugin is on where no list that forbids names it, and each that allows does. A text in a list names
    plugins by their distribution or their name, ``GROUP/NAME`` those of one group, such as ``plugins/*`` for
    all hook plugins, and ``DISTRIBUTION:NAME`` or ``DISTRIBUTION:GROUP/NAME`` those of one distribution.
    ``*`` stands for any text. What the core brings is switched off by its exact name only.

    Args:
        environ: has ``ANYJOB_DISABLE_PLUGINS`` and ``ANYJOB_ONLY_PLUGINS``.
        allow: only these; None: all.
        deny: not these.

    Raises:
        ConfigError: a text that names a group which there is not.
    """

    def __init__(
        self, environ: Mapping[str, str], allow: Iterable[str] | None = None, deny: Iterable[str] = ()
    ) -> None:
        self._denied: Lists = []
        self._allowed: Lists = []
        for variable, lists in (
            ("ANYJOB_DISABLE_PLUGINS", self._denied),
            ("ANYJOB_ONLY_PLUGINS", self._allowed),
        ):
            if named := [each.strip() for each in environ.get(variable, "").split(",") if each.strip()]:
                lists.append((variable, named))
        if deny := list(deny):
            self._denied.append(("the list `deny`", _checked(deny, "deny")))
        if allow is not None:
            self._allowed.append(("the list `allow`", _checked(list(allow), "allow")))

    def blocked(self, reference: Reference) -> str:
        """Say why a plugin is switched off; empty where it is not."""
        core = reference.distribution == CORE
        for called, patterns in self._denied:
            for each in patterns:
                if _matches(each, reference, exactly=core):
                    return f"{reference} is switched off: {called} has {each!r}"
        for called, patterns in self._allowed:
            if not core and not any(_matches(each, reference) for each in patterns):
                return f"{reference} is switched off: {called} is set and does not name it"
        return ""


def _checked(patterns: Sequence[str], called: str) -> list[str]:
    for each in patterns:
        group, slash, _ = each.rpartition(":")[2].partition("/")
        if slash and _group(group) not in GROUPS:
            known = ", ".join(one.removeprefix("anyjob.") for one in GROUPS)
            raise ConfigError(f"{called}: {each!r} names no group of plugins: there are {known}")
    return list(patterns)


def _group(short: str) -> str:
    return short if short.startswith("anyjob.") else f"anyjob.{short}"


def _matches(pattern: str, reference: Reference, *, exactly: bool = False) -> bool:
    """Ask whether a plugin is meant; what the core brings is only by its exact name."""
    distribution, colon, rest = pattern.rpartition(":")
    group, slash, name = rest.rpartition("/")
    if slash and _group(group) != reference.group:
        return False
    if colon and not _is_like(normalise(distribution), reference.distribution):
        return False
    if name == reference.name:
        return True
    if exactly:
        return False
    if _is_like(name, reference.name):
        return True
    return not colon and not slash and _is_like(normalise(name), reference.distribution)


def _is_like(pattern: str, text: str) -> bool:
    if "*" not in pattern:
        return pattern == text
    from fnmatch import fnmatchcase

    return fnmatchcase(text, pattern)
