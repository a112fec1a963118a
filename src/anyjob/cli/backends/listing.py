"""The lines of ``anyjob backends list``: what is configured, installed and offered, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anyjob.registry.entry_points import BACKENDS, PROVIDERS
from anyjob.registry.metadata import normalise
from anyjob.session.facade import Session

_USABLE = ("ok", "ambiguous")


def backend_lines(
    session: Session, installed: list[dict[str, str]], paths: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return a line for each name that `get_backend` takes.

    Args:
        session: where backends are configured.
        installed: the lines of `Registry.listing`.
        paths: what providers offer, as ``PROVIDER/BACKEND``.
    """
    default = session.default_backend()
    usable = (line for line in installed if line["group"] == BACKENDS and line["state"] in _USABLE)
    lines = []
    paths = [default, *paths] if "/" in default else paths
    types = sorted(line["name"] for line in usable)
    for name in dict.fromkeys([*session.config.backends, *types, *paths]):
        entry = session.config.backends.get(name)
        kind = entry.type if entry else name
        provider, slash, _ = kind.partition("/")
        if slash:
            known = session.config.providers.get(provider)
            origin = origin_of(installed, PROVIDERS, known.type if known else provider)
        else:
            origin = origin_of(installed, BACKENDS, kind)
        lines.append(
            {
                "name": name,
                "type": kind,
                "configured": entry is not None,
                "distribution": origin["distribution"] if origin else None,
                "version": origin["version"] if origin else None,
                "origin": str(entry.origins[""]) if entry else "its provider" if slash else "installed",
                "default": name == default,
            }
        )
    return lines


def origin_of(installed: list[dict[str, str]], group: str, name: str) -> dict[str, str] | None:
    """Return the line of who answers to a name, if one does; imports no hook plugins for it."""
    distribution, _, rest = name.partition(":")
    picked = rest, normalise(distribution)
    for line in installed:
        if line["group"] != group or line["state"] not in _USABLE:
            continue
        if (line["name"], line["distribution"]) == picked or (line["name"], line["state"]) == (name, "ok"):
            return line
    return None


def what_brings(line: dict[str, Any]) -> str:
    """Return the distribution of a line of a listing, with its version."""
    return f"{line['distribution']} {line['version']}" if line["distribution"] else "not found"
