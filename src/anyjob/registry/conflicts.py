"""Who of several that have one name answers to it, and why the others do not."""

from __future__ import annotations

from anyjob.registry.entry_points import API_VERSION, NAMED, Reference, wrong_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anyjob.registry.selection import Selection

    Resolution = tuple[Reference, str, str]
    """Who it is about, the state (``ok`` for who answers), and what is behind it in words."""


class ConflictResolver:
    """Says who of several answers to a name.

    Args:
        selection: which plugins are switched on.
        strict: whether ``ANYJOB_STRICT_PLUGINS`` is set.
    """

    def __init__(self, selection: Selection, strict: bool) -> None:
        self._selection = selection
        self.strict = strict

    def resolve(self, candidates: Sequence[Reference]) -> list[Resolution]:
        """Say of each of those that contend for one name whether it answers, or why not."""
        resolutions: list[Resolution] = []
        able: list[Reference] = []
        for each in candidates:
            if blocked := self._selection.blocked(each):
                resolutions.append((each, "blocked", blocked))
            elif wrong := wrong_name(each.name) if each.group in NAMED else "":
                resolutions.append((each, "broken", f"{each} cannot be asked for: {wrong}"))
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
