"""Whether the versions of two sides fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def installed() -> dict[str, str]:
    """Return the versions of this process, by the name of what they are of."""
    import platform
    from importlib.metadata import version

    return {"python": platform.python_version(), "distributed": version("distributed")}


def mismatch(here: Mapping[str, str], there: Iterable[Mapping[str, str]]) -> str:
    """Say which versions over there do not fit those here; empty where all do.

    Functions travel as byte code, so that Pythons must agree up to their minor version; and releases of
    Dask speak only with themselves.

    Args:
        here: versions by the name of what they are of.
        there: the same of each of those over there, as far as they are known.
    """
    wrong = {
        f"has {name} {other[name]}, and here is {here[name]}"
        for other in there
        for name in here
        if other.get(name) and _relevant(name, other[name]) != _relevant(name, here[name])
    }
    return "; ".join(sorted(wrong))


def _relevant(name: str, text: str) -> str:
    return ".".join(text.split(".")[:2]) if name == "python" else text
