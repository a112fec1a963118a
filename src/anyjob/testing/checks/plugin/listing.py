"""A plugin that is merely listed costs next to nothing: its engine is not imported for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, ClassVar
from unittest import SkipTest

from anyjob.registry.entry_points import CORE
from anyjob.registry.lookup import Registry

TIMEOUT = 60.0
"""Seconds that a process may take to list what is installed."""

_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import anyjob
registry = anyjob.Registry()
registry.listing()
registry.names(sys.argv[2])
print(json.dumps(sorted(sys.modules)))
"""


class Listing:
    """To list what is installed does not import the engine. For backends, providers and kinds of work."""

    sdk: ClassVar[tuple[str, ...]] = ()
    """Modules of the engine, beside those of the distributions that the plugin requires."""

    def test_to_list_it_does_not_import_its_engine(self, harness: Any) -> None:
        """To list what is installed does not import the libraries of the engine."""
        if harness.entry_point is None:
            raise SkipTest("the class is given directly, and so is not listed")
        group, name = harness.entry_point
        check_listing(group, name, self.sdk)


def check_listing(group: str, name: str, engine: Iterable[str] = ()) -> None:
    """List a group in a process of its own; see that a name is there, and that little was imported.

    Args:
        group: the entry-point group.
        name: the name in it.
        engine: modules that must not be imported, beside those of the distributions that the plugin
            requires.

    Raises:
        AssertionError: the name cannot be used, or its engine was imported.
        SkipTest: the name is not installed.
    """
    lines = [each for each in Registry().listing(group, hooks=False) if each.name == name]
    if not lines:
        raise SkipTest(f"{name!r} is not installed, and so is not listed")
    answers = [each.distribution for each in lines if each.state == "ok"]
    why = "; ".join(f"{each.distribution} is {each.state}, {each.why}" for each in lines)
    assert answers, f"{name!r} does not answer: {why}"
    heavy = {*engine, *_required_modules(answers[0])}.intersection(_listing_imports(group, answers[0]))
    assert not heavy, (
        f"to list what is installed imports {', '.join(sorted(heavy))}, by a hook module of "
        f"{answers[0]}: import it in the functions that use it"
    )


def _listing_imports(group: str, plugin: str) -> list[str]:
    """The modules that a fresh process has once it has listed what is installed, with the plugin alone."""
    path = json.dumps([entry or os.getcwd() for entry in sys.path])
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, path, group],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "ANYJOB_ONLY_PLUGINS": plugin, "ANYJOB_DISABLE_PLUGINS": ""},
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise AssertionError(f"to list what is installed has not ended within {TIMEOUT:g} s") from None
    assert done.returncode == 0, f"to list what is installed ended with {done.returncode}: {done.stderr}"
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return modules


def _required_modules(plugin: str) -> set[str]:
    """The top-level modules of what a plugin requires and anyjob does not."""
    import importlib_metadata as metadata

    from anyjob.registry.metadata import normalise

    def required(distribution: str) -> set[str]:
        try:
            lines = metadata.requires(distribution) or []
        except metadata.PackageNotFoundError:
            return set()
        return {normalise(_name(line)) for line in lines if "extra ==" not in line}

    wanted = required(plugin) - required(CORE) - {CORE}
    if not wanted:
        return set()
    return {
        module
        for module, brought_by in metadata.packages_distributions().items()
        if wanted & {normalise(name) for name in brought_by}
    }


def _name(requirement: str) -> str:
    """The distribution that a line of the requirements is about."""
    import re

    found = re.match(r"[\w.\-]+", requirement.strip())
    return found.group() if found else ""
