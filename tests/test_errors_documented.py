"""Error messages are found in the documentation by their words, and those are the words that the code has."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_page import blocks

from anyjob import errors

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
SOURCES = [ROOT / "src", *ROOT.glob("plugins/*/src")]
CLASSES = {
    name: cls
    for name, cls in vars(errors).items()
    if inspect.isclass(cls) and issubclass(cls, errors.AnyjobError)
}


def as_shown(node: ast.AST) -> str:
    """The text of an expression, with `…` for what differs each time; empty for one that is no text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(as_shown(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (as_shown(node.left) or "…") + (as_shown(node.right) or "…")
    return ""


def texts_and_raises(node: ast.AST, raised: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text of a program, with the class that is raised with it, if it is raised right there."""
    if text := as_shown(node):
        yield text, raised
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.Raise) and isinstance(part.exc, ast.Call):
            for argument in part.exc.args:
                yield from texts_and_raises(argument, ast.unparse(part.exc.func).rpartition(".")[2])
        elif not (text and as_shown(part)):
            yield from texts_and_raises(part)


SAID = {
    found
    for source in SOURCES
    for path in sorted(source.rglob("*.py"))
    for found in texts_and_raises(ast.parse(path.read_text(encoding="utf-8")))
}


def sections() -> dict[str, str]:
    _, *parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


MESSAGES = [
    (name, line)
    for name, section in sections().items()
    for block in blocks(section)
    if block.language == "text" and not block.key
    for line in block.text.splitlines()
]


def test_every_error_class_has_a_section_and_no_other_has() -> None:
    assert sorted(sections()) == sorted(CLASSES)


def test_sections_stand_in_the_order_of_the_hierarchy() -> None:
    drawn = re.findall(r"^[│├└─\s]*(\w+)", errors.__doc__ or "", re.MULTILINE)
    assert list(sections()) == [name for name in drawn if name in CLASSES]


@pytest.mark.parametrize(("name", "message"), MESSAGES, ids=[message for _, message in MESSAGES])
def test_a_message_is_in_the_code_and_of_the_class_of_its_section(name: str, message: str) -> None:
    assert sum(letter.isalpha() for letter in message) >= 10, "too little to be found by"
    found = [raised for text, raised in SAID if message.rstrip("…") in text]
    assert found, "no text of the code has these words"
    elsewhere = [
        raised for raised in found if not issubclass(CLASSES.get(raised, CLASSES[name]), CLASSES[name])
    ]
    assert elsewhere != found, "it is raised as another class"
