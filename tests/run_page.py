"""Execute the examples of one Markdown page, in order, in the current directory.

What a fenced block means:

- ``python``: executed; the blocks of a page share a namespace.
- ``console``: each ``$ command`` is run by bash and must succeed; the output shown below it must be
  what it prints (stdout and stderr), with ``...`` standing for anything. No output shown: not compared.
- ``bash``: run as a script.
- ``toml``: must be valid TOML.
- ``text``, ``json``, ``mermaid``, and MyST's directives (``{name}``): shown only.

A comment in the line before a block changes that:

- ``<!-- file: NAME -->``: the block is written to that file, not executed; ``anyjob.toml`` is checked by
  ``anyjob config check``.
- ``<!-- add: NAME -->``: the block is added to the end of that file.
- ``<!-- change: NAME -->``: each line of the block takes the place of the one in that file that begins with
  the same two words; one for which there is none comes after the one before it.
- ``<!-- background -->``: the command is started, and runs on until the page ends; what is shown is what it
  prints first, and is waited for.
- ``<!-- output -->``: the block is what the Python block before it prints.
- ``<!-- skip: REASON -->``: not executed; the tests report it as skipped, with the reason.

Blocks of any other language are an error, so that nothing goes untested by a slip. The ports of addresses
such as 127.0.0.1:8642 are replaced by free ones, so that pages may be executed at the same time.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

SHOWN_ONLY = ("text", "json", "mermaid")
_FENCE = re.compile(
    r"(?:^<!-- (?P<key>file|add|change|background|output|skip)(?:: (?P<value>[^\n]*?))? -->\n)?"
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


def with_free_ports(page: str) -> str:
    """Replace the ports of loopback addresses by free ones."""
    for address in sorted(set(re.findall(r"\b127\.0\.0\.1:\d{4,5}\b", page))):
        with socket.create_server(("127.0.0.1", 0)) as free:
            page = page.replace(address, f"127.0.0.1:{free.getsockname()[1]}")
    return page


def changed(text: str, lines: str) -> str:
    """Return a text in which each of these lines has taken the place of the one that it is a version of.

    Raises:
        ValueError: there is none for the first of them, or there are several for one.
    """
    done = text.splitlines()
    at = -1
    for line in lines.splitlines():
        known = [number for number, old in enumerate(done) if line.strip() and _stem(old) == _stem(line)]
        if len(known) == 1:
            at = known[0]
            done[at] = line
        elif known or at < 0:
            raise ValueError(f"{len(known)} lines of the file could be changed to {line!r}")
        else:
            at += 1
            done.insert(at, line)
    return "\n".join(done) + "\n"


def _stem(line: str) -> str:
    """What stays the same when a line is changed: its indentation and its first two words."""
    found = re.match(r"\s*\S+(?:\s+\S+)?", line)
    return found[0] if found else ""


class Page:
    """A page while it is executed; a context manager, at whose end what it has started is ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""
        self.running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running:
            with process:
                process.terminate()

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
        elif block.key == "add":
            between = "\n" if block.text[0].isspace() else "\n\n"  # of methods, and of functions
            self.rewrite(block.value, lambda text: f"{text}{between}{block.text}")
        elif block.key == "change":
            self.rewrite(block.value, lambda text: changed(text, block.text))
        elif block.key == "background":
            ((command, shown),) = commands(block.text)
            self.background(command, shown)
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

    def rewrite(self, name: str, change: Callable[[str], str]) -> None:
        """Change what a block before has written."""
        path = Path(name)
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    def background(self, command: str, shown: str) -> None:
        """Start a program that runs until the page ends, and wait until it has printed what is shown."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.running.append(process)
        assert process.stdout is not None
        printed = ""
        while not matches(shown, printed):
            line = process.stdout.readline()
            assert line, f"$ {command}\nshown:\n{shown}\nprinted, until it ended:\n{printed}"
            printed += line

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
    with Page(path) as page:
        for block in blocks(with_free_ports(Path(path).read_text(encoding="utf-8"))):
            try:
                page.execute(block)
            except BaseException:
                print(f"{path}:{block.line}: this {block.language} block failed", file=sys.stderr)
                raise


if __name__ == "__main__":
    main(sys.argv[1])
