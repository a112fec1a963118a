"""Our own plugins, and those that the scaffold writes, have no more of anyjob than a third party."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from anyjob import BaseBackend, BaseJob, BaseProvider, TaskBackend, TaskJob
from anyjob.runtime.engine_adapter import EngineAdapter
from anyjob.scaffold.names import Names
from anyjob.scaffold.render import render
from anyjob.testing.diagnosis.public_imports import internal_imports

ROOT = Path(__file__).parent.parent
SOURCES = sorted(ROOT.glob("plugins/*/src/**/*.py"))
OF_SUBCLASSES = {"_backend", "_job_id"}
"""What `BaseJob` keeps for its subclasses, as Qiskit's does."""


def scaffolded() -> Iterator[tuple[str, str]]:
    """Yield each Python file that the scaffold writes, for every flavour."""
    for flavour in ("rest", "scheduler", "legacy"):
        backend = "acme"
        for kind in (None, "acme.report"):
            names = Names(distribution="anyjob-acme", backend=backend, flavour=flavour, kind=kind)
            yield from ((f"{flavour}/{path}", text) for path, text in render(names).items())
    names = Names(distribution="anyjob-acme", backend=None, kind="acme.report")
    yield from ((f"kind/{path}", text) for path, text in render(names).items())


TEMPLATES = {path: text for path, text in scaffolded() if path.endswith(".py")}


def private_attributes() -> set[str]:
    """Return what anyjob's classes for authors keep to themselves, with what they set in their methods."""
    found = set()
    for cls in (EngineAdapter, TaskBackend, BaseBackend, TaskJob, BaseJob, BaseProvider):
        found |= {name for name in vars(cls) if name.startswith("_") and not name.startswith(("__", "_abc_"))}
        code = cls.__init__.__code__
        found |= {name for name in code.co_names if name.startswith("_") and not name.startswith("__")}
    return found - OF_SUBCLASSES


def reached_into(text: str) -> list[str]:
    """Return the private attributes of anyjob's that a module uses, less those that it sets itself."""
    private = private_attributes()
    used: set[str] = set()
    own: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in private:
            (used if isinstance(node.ctx, ast.Load) else own).add(node.attr)
        if isinstance(node, ast.FunctionDef):
            own.add(node.name)
    return sorted(used - own)


def test_there_is_something_to_look_at() -> None:
    assert {path.parts[-4] for path in SOURCES} >= {"anyjob-dask", "anyjob-slurm", "anyjob-qiskit"}
    assert {path.partition("/")[0] for path in TEMPLATES} == {"rest", "scheduler", "legacy", "kind"}
    assert {"_tracker", "_record", "_configuration"} <= private_attributes()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_plugin_of_ours_imports_what_is_public_alone(path: Path) -> None:
    """For type checkers, and by name, too."""
    text = path.read_text(encoding="utf-8")
    assert internal_imports(text.encode()) == []
    assert reached_into(text) == []


@pytest.mark.parametrize("path", TEMPLATES)
def test_what_the_scaffold_writes_imports_what_is_public_alone(path: str) -> None:
    assert internal_imports(TEMPLATES[path].encode()) == []
    assert reached_into(TEMPLATES[path]) == []


def test_a_reach_into_the_core_would_be_seen() -> None:
    assert reached_into("def f(backend): return backend._tracker.records()") == ["_tracker"]
    assert (
        reached_into("class C:\n def __init__(self): self._record = 1\n def f(self): return self._record")
        == []
    )
