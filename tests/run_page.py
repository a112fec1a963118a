"""Execute the examples of one Markdown page, in order, in the current directory.

What a fenced block means:

- ``python``: executed; the blocks of a page share a namespace.
- ``console``: each ``$ command`` is run by bash and must succeed; the output shown below it must be
  what it prints (stdout and stderr), with ``...`` standing for anything. No output shown: not compared.
- ``bash``: run as a script.
- ``toml``: must be valid TOML.
- ``text``, ``json``, and MyST's directives (``{name}``): shown only.

A comment in the line before a block changes that:

- ``<!-- file: NAME -->``: the block is written to that file, not executed; ``anyjob.toml`` is checked by
  ``anyjob config check``.
- ``<!-- output -->``: the block is what the Python block before it prints.
- ``<!-- skip: REASON -->``: not executed; the tests report it as skipped, with the reason.

Blocks of any other language are an error, so that nothing goes untested by a slip.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

SHOWN_ONLY = ("text", "json")
_FENCE = re.compile(
    r"(?:^<!-- (?P<key>file|output|skip)(?:: (?P<value>[^\n]*?))? -->\n)?"
    r"^(?P<ticks>`{3,})(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=ticks)[ ]*$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One fenced block: ``key`` and ``value`` are those of the comment before it."""

    line: int
    language: str
    text: str
    key: str
    value: str


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page, with the number of their first line of text."""
    return [
        Block(
            line=page.count("\n", 0, found.start("text")) + 1,
            language=found["language"].strip(),
            text=found["text"],
            key=found["key"] or "",
            value=found["value"] or "",
        )
        for found in _FENCE.finditer(page)
    ]


def matches(shown: str, printed: str) -> bool:
    """Compare an output with the one shown, where ``...`` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    text = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def commands(text: str) -> list[tuple[str, str]]:
    """Return each ``$ command`` of a console block with the output shown below it."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif found and found[-1][0].endswith("\\"):
            found[-1] = (found[-1][0] + "\n" + line, "")
        elif found:
            found[-1] = (found[-1][0], found[-1][1] + line + "\n")
        else:
            raise ValueError(f"a console block starts with '$ ', not with {line!r}")
    return found


class Page:
    """A page while it is executed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""

    def execute(self, block: Block) -> None:
        """Do what the block says.

        Raises:
            AssertionError: it printed something else, or a command failed.
            ValueError: the block is not of a known kind.
        """
        if block.key == "skip":
            return
        if block.key == "file":
            self.write(block)
        elif block.key == "output":
            assert matches(block.text, self.printed), f"shown:\n{block.text}\nprinted:\n{self.printed}"
        elif block.language == "python":
            self.python(block)
        elif block.language == "console":
            for command, shown in commands(block.text):
                self.bash(command, shown)
        elif block.language == "bash":
            self.bash(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language not in SHOWN_ONLY and not block.language.startswith("{"):
            raise ValueError(f"a block of unknown language {block.language!r}: see tests/run_page.py")

    def write(self, block: Block) -> None:
        """Write the block to its file, and check it where there is something to check it with."""
        path = Path(block.value)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
        if path.suffix == ".toml":
            tomllib.loads(block.text)
        if path.name == "anyjob.toml":
            self.bash("anyjob config check")

    def python(self, block: Block) -> None:
        """Execute Python; tracebacks name the page and its line."""
        importlib.invalidate_caches()
        code = compile("\n" * (block.line - 1) + block.text, self.name, "exec")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(code, self.namespace)
        self.printed = output.getvalue()

    def bash(self, script: str, shown: str = "") -> None:
        """Run a script by bash, and compare what it prints with what is shown."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"$ {script}\nexit code {done.returncode}:\n{done.stdout}"
        assert not shown.strip() or matches(shown, done.stdout), (
            f"$ {script}\nshown:\n{shown}\nprinted:\n{done.stdout}"
        )


def main(path: str) -> None:
    """Execute a page, and say at which line it failed."""
    page = Page(path)
    for block in blocks(Path(path).read_text(encoding="utf-8")):
        try:
            page.execute(block)
        except BaseException:
            print(f"{path}:{block.line}: this {block.language} block failed", file=sys.stderr)
            raise


if __name__ == "__main__":
    main(sys.argv[1])
