"""Programs of an engine in front of the real ones: their calls are counted, and faults can be set."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class WrappedPrograms:
    """A directory of programs that do what the real ones do, but for the faults that are set.

    Args:
        directory: where to make it.
        names: of the programs.
        outage: what each of them writes to stderr, and fails with, while the engine is away.
    """

    def __init__(self, directory: Path, names: Sequence[str], outage: str) -> None:
        self.path = directory
        self._names, self._outage = names, outage
        directory.mkdir()
        for name in names:
            self.wrap(name)

    def wrap(self, name: str, before: str = "", around: str = 'exec "$REAL" "$@"') -> None:
        """Have a program do this first, in sh, and then something else than what it does (``$REAL``)."""
        head = [
            "#!/bin/sh",
            f"REAL={shutil.which(name)}",
            f"HERE={self.path}",
            f'echo {name} "$@" >> "$HERE/calls"',
            f"if [ -e \"$HERE/away\" ]; then echo '{self._outage}' >&2; exit 1; fi",
        ]
        path = self.path / name
        path.write_text("\n".join([*head, textwrap.dedent(before), textwrap.dedent(around), ""]))
        path.chmod(0o755)

    def once(self, name: str, instead: str) -> None:
        """Have the next call of a program do this instead, in sh."""
        (self.path / f"{name}.once").touch()
        before = f'if rm "$HERE/{name}.once" 2> /dev/null; then\n{textwrap.dedent(instead)}\nfi'
        self.wrap(name, before)

    def calls(self, name: str = "") -> list[str]:
        """Return the calls that were made, of all programs or of one."""
        log = self.path / "calls"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return [line for line in lines if line.partition(" ")[0] in (self._names if not name else (name,))]

    @contextmanager
    def down(self) -> Iterator[None]:
        """Have the engine be away meanwhile."""
        (self.path / "away").touch()
        try:
            yield
        finally:
            (self.path / "away").unlink()
