"""Makes the files of a new plugin of templates.

A template is a file of a plugin that is called ``acme``, with ``.in`` behind its name; ``dot-`` stands for
a leading dot. In it, the names of that plugin stand for those of the new one, and lines between
``[[if A B]]`` and ``[[end]]`` are for a plugin with A or B (or, after ``[[else]]``, for one with neither).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from anyjob.scaffold.names import Names

ALSO = {
    "rest": ("backend", "service"),
    "scheduler": ("backend",),
    "provider": ("service",),
    "legacy": ("backend",),
}
"""What holds of each flavour, too."""


def render(names: Names) -> dict[str, str]:
    """Return the files of a plugin: the text of each by its path, relative to the plugin's directory."""
    conditions = true_conditions(names)
    known = _tokens(names)
    pattern = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True))))
    made = {}
    for directory in ("common", *sorted(conditions)):
        for path, text in _templates(directory):
            path = pattern.sub(lambda found: known[found[0]], path)
            made[path] = pattern.sub(lambda found: known[found[0]], select_lines(text, conditions))
    return made


def true_conditions(names: Names) -> frozenset[str]:
    """Return the words for which ``[[if …]]`` holds; those that are directories of templates are used."""
    kind = {"kind"} if names.kind is not None else set()
    if names.backend is None:
        return frozenset({"kind-only", *kind})
    flavour = names.flavour or "rest"
    return frozenset({flavour, *ALSO[flavour], *kind})


def select_lines(text: str, conditions: frozenset[str]) -> str:
    """Return a template with only those of its lines that are for this plugin."""
    lines = []
    is_selected = True
    for line in text.splitlines(keepends=True):
        mark = re.fullmatch(r"\[\[(if|else|end)(.*)\]\]\n", line)
        if mark is None:
            lines += [line] * is_selected
        elif mark[1] == "if":
            is_selected = bool(conditions.intersection(mark[2].split()))
        else:
            is_selected = mark[1] == "end" or not is_selected
    return "".join(lines)


def _tokens(names: Names) -> dict[str, str]:
    """What stands in the templates, and what for."""
    found = {"anyjob-acme": names.distribution, "anyjob_acme": names.package}
    if names.backend is not None:
        variable = re.sub(r"[^A-Z0-9]", "_", names.backend.upper())
        found |= {"acme": names.backend, "Acme": names.prefix, "ACME": variable}
    if names.kind is not None:
        found |= {"acme.report": names.kind, "AcmeReport": names.kind_class}
    return found


def _templates(directory: str) -> Iterator[tuple[str, str]]:
    root = files("anyjob.scaffold") / "templates" / directory
    if root.is_dir():
        yield from _below(root, "")


def _below(directory: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(directory.iterdir(), key=lambda each: each.name):
        name = re.sub("^dot-", ".", entry.name)
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{name}/")
        elif name.endswith(".in"):
            yield prefix + name.removesuffix(".in"), entry.read_text(encoding="utf-8")
