"""The reference page of the hooks is complete, and says of each what there is to know."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_page import blocks

from anyjob import hookspecs

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "reference" / "hooks.md").read_text(
    encoding="utf-8"
)
HOOKS: dict[str, Callable[..., Any]] = {
    name: value for name, value in vars(hookspecs).items() if name.startswith("anyjob_")
}
SECTIONS = dict(re.findall(r"^## (anyjob_.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def heading(name: str) -> str:
    return f"{name}({', '.join(inspect.signature(HOOKS[name]).parameters)})"


def test_every_hook_has_a_section_and_every_section_is_a_hook() -> None:
    assert list(SECTIONS) == [heading(name) for name in HOOKS]


def test_the_table_names_every_hook_in_order() -> None:
    assert re.findall(r"^\| \[`(\w+)`\]\(#(.*?)\) \|", PAGE, re.MULTILINE) == [
        (name, re.sub(r"[(),]", "", heading(name).replace(" ", "-"))) for name in HOOKS
    ]


@pytest.mark.parametrize("name", HOOKS)
def test_the_signature_is_exact(name: str) -> None:
    signature = str(inspect.signature(HOOKS[name])).replace("'", "")
    first = blocks(SECTIONS[heading(name)])[0]
    assert (first.language, first.text) == ("text", f"{name}{signature}\n")


@pytest.mark.parametrize("name", HOOKS)
def test_it_is_said_when_and_where_it_is_called_and_what_may_be_raised(name: str) -> None:
    told = dict(re.findall(r"^- \*\*(.+?)\*\*: (.+?)$", SECTIONS[heading(name)], re.MULTILINE))
    assert list(told) == ["When", "Where", "Gets", "Returns", "May raise"]
    assert ("Refused" in told["May raise"]) is (name == "anyjob_before_submit")
    returns_nothing = HOOKS[name].__annotations__["return"] == "None"
    assert told["Returns"].startswith("nothing") is returns_nothing


@pytest.mark.parametrize("name", HOOKS)
def test_it_has_an_example_that_shows_what_it_does(name: str) -> None:
    """The examples are executed with all others, by test_examples_and_docs."""
    _, example, output = blocks(SECTIONS[heading(name)])
    asked = re.search(rf"@hookimpl\n    def {name}\(self, (.*?)\):", example.text)
    assert asked is not None
    assert set(asked.group(1).split(", ")) <= set(inspect.signature(HOOKS[name]).parameters)
    assert (example.language, output.key) == ("python", "output")
