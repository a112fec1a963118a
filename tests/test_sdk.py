"""The surface for authors of plugins: as it is recorded, documented, and light.

``python tests/test_sdk.py`` records it anew, which is for additions: any other change makes it another
version of the plugin API.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import anyjob
from anyjob import TaskBackend, sdk
from anyjob.registry.entry_points import API_VERSION

RECORDED = Path(__file__).with_name(f"sdk_{API_VERSION}.txt")


WRITTEN = ("launch", "observe", "terminate", "collect", "find", "renounce", "logs", "listen", "close")
"""The methods of a task backend that its author writes."""
CALLED = ("job_directory", "notify", "open_ids", "open_tickets", "recorded_outcomes", "when_forgotten")
"""Those that its author calls."""


def surface() -> str:
    """Return the surface as text, a line for each name and each method."""
    lines = [line for name in sdk.__all__ for line in described(name, getattr(sdk, name))]
    lines += [
        f"anyjob.TaskBackend.{name}{signature(getattr(TaskBackend, name))}" for name in WRITTEN + CALLED
    ]
    return "\n".join([*lines, ""])


def described(name: str, thing: Any) -> Iterator[str]:
    if inspect.ismodule(thing):
        yield f"{name}: module"
        for each in thing.__all__:
            yield f"{name}.{each}{signature(getattr(thing, each))}"
    elif inspect.isclass(thing):
        yield f"class {name}{signature(thing)}"
        for member, value in sorted(vars(thing).items()):
            if not member.startswith("_"):
                yield f"{name}.{member}{signature(getattr(thing, member)) if callable(value) else ''}"
    else:
        yield f"{name}{signature(thing)}" if inspect.isroutine(thing) else f"{name} = {thing}"


def signature(thing: Any) -> str:
    return re.sub("((?::|->) )'([^']*)'", r"\1\2", str(inspect.signature(thing)))  # annotations are text here


def test_the_surface_is_what_was_recorded() -> None:
    recorded, now = RECORDED.read_text(encoding="utf-8").splitlines(), surface().splitlines()
    difference = "\n".join(difflib.unified_diff(recorded, now, "recorded", "now", lineterm="", n=0))
    assert not difference, f"see the docstring of this file:\n{difference}"


def test_all_is_sorted_and_without_doubles() -> None:
    assert sdk.__all__ == sorted(set(sdk.__all__))
    assert set(sdk.__all__) == set(sdk._MODULE_OF)


def test_it_repeats_nothing_of_anyjob() -> None:
    assert set(sdk.__all__) & set(anyjob.__all__) == set()


def test_it_says_which_version_of_the_plugin_api_it_is() -> None:
    assert f"version {API_VERSION} of the plugin API" in " ".join((sdk.__doc__ or "").split())


@pytest.mark.parametrize("name", sdk.__all__)
def test_every_name_is_documented(name: str) -> None:
    thing = getattr(sdk, name)
    if not (inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing)):
        assert attribute_docstring(name), f"{name} has no docstring"
        return
    assert inspect.getdoc(thing), f"{name} has no docstring"
    members = [getattr(thing, each) for each in getattr(thing, "__all__", ())]
    if inspect.isclass(thing):
        members = [
            value for each, value in vars(thing).items() if not each.startswith("_") and callable(value)
        ]
    for member in members:
        assert inspect.getdoc(member), f"{member} has no docstring"


def attribute_docstring(name: str) -> str:
    """Return the text behind the assignment to a name."""
    module = importlib.import_module(f"anyjob.{sdk._MODULE_OF[name]}")
    body = ast.parse(inspect.getsource(module)).body
    for node, after in itertools.pairwise(body):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == name
        ):
            return str(ast.literal_eval(after.value)) if isinstance(after, ast.Expr) else ""
    return ""


@pytest.mark.parametrize("name", [each for each in sdk.__all__ if each not in ("Answer", "runner")])
def test_every_name_is_what_its_thing_is_called(name: str) -> None:
    assert getattr(sdk, name).__name__ == name


@pytest.mark.parametrize("name", [each for each in sdk.__all__ if each not in ("Answer", "runner")])
def test_arguments_are_explained(name: str) -> None:
    """Of one that takes a single argument, the first sentence says what that is."""
    arguments = list(inspect.signature(getattr(sdk, name)).parameters)
    if len(arguments) > 1:
        text = inspect.getdoc(getattr(sdk, name)) or ""
        assert [each for each in arguments if f"    {each}: " not in text] == []


@pytest.mark.parametrize("name", [*sdk.__all__, *(f"runner.{each}" for each in sdk.runner.__all__)])
def test_every_name_is_in_the_reference(name: str) -> None:
    page = Path(__file__).parent.parent / "docs" / "reference" / "sdk.md"
    documented = rf"^### {re.escape(name)}$" if name != "runner" else r"^\| `runner` \| "
    assert re.search(documented, page.read_text(encoding="utf-8"), re.MULTILINE)


def test_checkers_know_the_same_names() -> None:
    tree = ast.parse(inspect.getsource(sdk))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }
    assert imported == set(sdk.__all__)


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'anyjob\.sdk' has no attribute 'spool'"):
        _ = sdk.spool
    assert set(sdk.__all__) <= set(dir(sdk))


def imported_by(statement: str) -> set[str]:
    script = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    out = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    return set(out.stdout.split())


def test_its_import_imports_nothing_else() -> None:
    assert imported_by("import anyjob.sdk") == {"anyjob", "anyjob.sdk"} | imported_by("import __future__")


def test_a_hook_plugin_that_asks_for_the_environment_imports_no_more_than_that() -> None:
    ours = {
        name for name in imported_by("from anyjob.sdk import job_environment") if name.startswith("anyjob")
    }
    assert ours == {"anyjob", "anyjob.sdk", "anyjob.execution", "anyjob.execution.job_environment"}


if __name__ == "__main__":
    RECORDED.write_text(surface(), encoding="utf-8")
