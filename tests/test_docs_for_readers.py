"""What leads readers through the documentation is whole and true: the words, llms.txt, AGENTS.md, links."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


def test_words_are_few_and_each_is_where_the_glossary_says() -> None:
    page = (DOCS / "explanation" / "architecture.md").read_text(encoding="utf-8")
    _, _, section = page.partition("## The words\n")
    rows = re.findall(r"^\| (.+) \| .+ \| `(.+)` \|$", section.partition("\n## ")[0], re.MULTILINE)
    assert 10 < len(rows) <= 20
    source = ROOT / "src" / "anyjob"
    assert [
        word
        for word, where in rows
        if not (source / where).is_dir() and not (source / f"{where}.py").is_file()
    ] == []


def test_each_promise_of_durability_names_a_test_that_there_is() -> None:
    page = (DOCS / "explanation" / "durability.md").read_text(encoding="utf-8")
    tables = [found.splitlines() for found in re.findall(r"(?:^\| .*\n)+", page, re.MULTILINE)]
    rows = [row for head, _, *rows in tables if "held by" in head for row in rows]
    assert len(rows) > 10
    assert [row for row in rows if "`test_" not in row] == []
    there = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    assert [name for name in re.findall(r"`(test_\w+)`", page) if f"def {name}(" not in there] == []


def test_llms_txt_lists_every_page_by_its_title() -> None:
    text = (ROOT / "llms.txt").read_text(encoding="utf-8")
    assert re.match(r"# anyjob\n\n> \S", text)
    linked = re.findall(r"^- \[(.+)\]\((.+)\): \S", text, re.MULTILINE)
    pages = {
        (path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# "), str(path.relative_to(ROOT)))
        for path in DOCS.rglob("*.md")
        if "_build" not in path.parts and path != DOCS / "index.md"
    }
    assert len(linked) == len(set(linked))
    assert {each for each in linked if each[1].startswith("docs/")} == pages
    assert [path for _, path in linked if not (ROOT / path).is_file()] == []


def test_agents_are_told_what_contributors_are() -> None:
    assert (ROOT / "AGENTS.md").read_text() == (ROOT / "CONTRIBUTING.md").read_text()


def test_an_arrow_between_rooms_that_follows_from_others_is_not_drawn() -> None:
    direct = runpy.run_path(str(ROOT / "scripts" / "write-architecture"))["direct"]
    below: dict[str, set[str]] = {
        "cli": {"session", "text", "ids"},
        "session": {"text"},
        "text": set(),
        "ids": set(),
    }
    assert direct("cli", below) == {"session", "ids"}
    assert direct("session", below) == {"text"}


# --- scripts/inventory ------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with the script, an inventory with one name, and that of a whole project."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "inventory", tmp_path / "scripts")
    ours = tmp_path / "docs" / "inventories" / "zoo.txt"
    ours.parent.mkdir(parents=True)
    ours.write_text(
        "# Sphinx inventory version 1\n# Project: Zoo\n# Version: 1\nzoo.Lion class old/page.html\n"
    )
    entries = (
        "zoo py:module 0 zoo.html#module-$ -\n"
        "zoo.Lion py:class 1 animals.html#$ -\n"
        "zoo.feed py:function 1 care.html#$ -\n"
        "zoo.odd py:function 1 care.html#another-anchor -\n"
        "feeding the lions std:label -1 care.html#feeding Feeding the lions\n"
    )
    head = (
        b"# Sphinx inventory version 2\n# Project: Zoo\n# Version: 2\n"
        b"# The remainder of this file is compressed using zlib.\n"
    )
    (tmp_path / "objects.inv").write_bytes(head + zlib.compress(entries.encode()))
    return tmp_path


def inventory(tree: Path, *names: str) -> tuple[str, str]:
    command = [sys.executable, "scripts/inventory", "zoo", "objects.inv", *names]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=60)
    return done.stderr, (tree / "docs" / "inventories" / "zoo.txt").read_text()


def test_inventory_takes_up_names_and_brings_old_ones_up_to_date(tree: Path) -> None:
    assert inventory(tree, "zoo.feed", "zoo") == (
        "",
        "# Sphinx inventory version 1\n# Project: Zoo\n# Version: 2\n"
        "zoo mod zoo.html\nzoo.Lion class animals.html\nzoo.feed function care.html\n",
    )


@pytest.mark.parametrize(
    ("name", "said"), [("zoo.fed", "has no zoo.fed; it has zoo.feed"), ("zoo.odd", "has no zoo.odd")]
)
def test_inventory_refuses_a_name_that_cannot_be_linked_to(tree: Path, name: str, said: str) -> None:
    complaint, written = inventory(tree, name)
    assert said in complaint
    assert "old/page.html" in written
