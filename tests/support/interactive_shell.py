"""A real shell at a terminal: keys are typed into it, and what it makes of a line is read."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOME, TAB = "\x01", "\t"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x07|\r")
_COMMANDS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
_SETTINGS = {
    "bash": "; ".join(
        f"bind 'set {setting}'"
        for setting in (
            "enable-bracketed-paste off",
            "show-all-if-ambiguous on",
            "completion-query-items -1",
            "page-completions off",
            "bell-style none",
        )
    ),
    "zsh": "PS1='$ '; unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -D",
}


class InteractiveShell:
    """A shell at a terminal of 200 columns."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._count = 0

    def run(self, keys: str) -> str:
        """Type this as a line; return what is shown until the next prompt."""
        self._count += 1
        end = f"end-{self._count}"
        os.write(self._terminal, f"{keys}\necho end-''{self._count}\n".encode())
        shown = ""
        while f"\n{end}\n" not in shown:
            assert select.select([self._terminal], [], [], 60)[0], shown
            shown += _ESCAPES.sub("", os.read(self._terminal, 65536).decode(errors="replace"))
        return shown

    def completed(self, line: str) -> list[str]:
        """Return the words of a line after TAB at its end; the last is as it was where several would do."""
        shown = self.run(f"{line}{TAB}{HOME}printf '<%s>\\n' ")
        return re.findall(r"^<(.*)>$", shown, re.MULTILINE)

    def offered(self, line: str) -> set[str]:
        """Return the words that TAB at the end of a line offers."""
        shown = self.run(f"{line}{TAB}{HOME}#")
        return {
            word for row in shown.splitlines() if not row.startswith(("$ ", "end-")) for word in row.split()
        }


@contextmanager
def interactive_shell(name: str, path: Path, directory: Path, script: Path) -> Iterator[InteractiveShell]:
    """Start a bash or zsh in a directory, which finds the programs of a path first, and sources a script."""
    ours, theirs = pty.openpty()
    search = f"{path}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": search, "PS1": "$ ", "TERM": "dumb", "COLUMNS": "200"}
    with subprocess.Popen(
        _COMMANDS[name],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        cwd=directory,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            shell = InteractiveShell(ours)
            shell.run(f"{_SETTINGS[name]}; source '{script}'")
            yield shell
        finally:
            process.kill()
            os.close(ours)
