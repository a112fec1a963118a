"""Who of several that have one name answers to it, and why the others do not."""

from __future__ import annotations

from anyjob.registry.entry_points import API_VERSION, CORE, Reference
from anyjob.registry.metadata import normalise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Resolution = tuple[Reference, str, str]
    """Who it is about, the state (``ok`` for who answers), and what is behind it in words."""


class ConflictResolver:
    """Says who of several answers to a name.

    Args:
        environ: switches plugins off, by ``ANYJOB_DISABLE_PLUGINS`` and ``ANYJOB_ONLY_PLUGINS``.

    Attributes:
        strict: whether ``ANYJOB_STRICT_PLUGINS`` is set.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._disabled = _listed(environ.get("ANYJOB_DISABLE_PLUGINS", ""))
        self._only = _listed(environ.get("ANYJOB_ONLY_PLUGINS", ""))
        self.strict = environ.get("ANYJOB_STRICT_PLUGINS", "") not in ("", "0")

    def resolve(self, candidates: Sequence[Reference]) -> list[Resolution]:
        """Say of each of those that contend for one name whether it answers, or why not."""
        resolutions: list[Resolution] = []
        able: list[Reference] = []
        for each in candidates:
            blocked = self.blocked(each)
            if blocked:
                resolutions.append((each, "blocked", blocked))
            elif API_VERSION not in each.api:
                resolutions.append((each, "incompatible", _incompatible(each)))
            elif any(other.value == each.value or other.distribution == each.distribution for other in able):
                other = next(o for o in able if o.value == each.value or o.distribution == each.distribution)
                why = f"{other} has the same {'value' if other.value == each.value else 'name'}, and answers"
                resolutions.append((each, "duplicate", why))
            else:
                able.append(each)
        if len(able) == 1:
            return [(able[0], "ok", ""), *resolutions]
        why = _ambiguous(able) if able else ""
        return [(each, "ambiguous", why) for each in able] + resolutions

    def blocked(self, reference: Reference) -> str:
        """Say why a plugin is switched off; empty where it is not."""
        if not self._disabled and not self._only:
            return ""
        core = reference.distribution == CORE
        disabled = [each for each in self._disabled if _matches(each, reference, exactly=core)]
        if disabled:
            return f"{reference} is switched off: ANYJOB_DISABLE_PLUGINS has {disabled[0]!r}"
        if self._only and not core and not any(_matches(each, reference) for each in self._only):
            return f"{reference} is switched off: ANYJOB_ONLY_PLUGINS is set and does not name it"
        return ""


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _matches(pattern: str, reference: Reference, *, exactly: bool = False) -> bool:
    """Ask whether a name, or a distribution, is meant; the core's are only by their exact names."""
    if pattern == reference.name:
        return True
    if exactly:
        return False
    if "*" not in pattern:
        return normalise(pattern) == reference.distribution
    from fnmatch import fnmatchcase

    return fnmatchcase(reference.name, pattern) or fnmatchcase(reference.distribution, normalise(pattern))


def _incompatible(reference: Reference) -> str:
    return (
        f"{reference} was written for the plugin API {', '.join(reference.api)}, and this anyjob has "
        f"{API_VERSION}: install a version of {reference.distribution} for {API_VERSION}, "
        "or another version of anyjob"
    )


def _ambiguous(contenders: Iterable[Reference]) -> str:
    contenders = list(contenders)
    both = "; ".join(str(each) for each in contenders)
    picks = " or ".join(repr(f"{each.distribution}:{each.name}") for each in contenders)
    return f"several distributions have this name: {both}. Pick one by {picks}, or uninstall the other"
