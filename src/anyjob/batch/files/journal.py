"""The journal of a submission: where the nodes say that a job of it starts or ends."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from anyjob.errors import StateError
from anyjob.spool.private_files import read_range


class Journal:
    """The journal of a submission, as far as it has been read.

    Lines may be missing (network file systems do not append atomically): they are hints, no verdicts.
    """

    def __init__(self, submission: Path) -> None:
        self.path = submission / "journal"
        self._offset = 0

    def new_entries(self) -> Iterator[tuple[str, int, int]]:
        """Yield what was added: letter, number of the job, attempt."""
        while data := self._read():
            whole = data.rfind(b"\n") + 1
            if not whole:
                return
            self._offset += whole
            for line in data[:whole].splitlines():
                fields = line.decode("ascii", "replace").split()
                if len(fields) == 3 and fields[1].isdecimal() and fields[2].isdecimal():
                    yield fields[0], int(fields[1]), int(fields[2])

    def is_gone(self) -> bool:
        """Whether the submission was removed, since all its jobs have ended, as another process has seen."""
        return not self.path.exists() and not (self.path.parent / "jobs").exists()

    def _read(self) -> bytes:
        try:
            return read_range(self.path, self._offset)
        except (OSError, StateError):
            return b""

    def append(self, letter: str, numbers: Iterable[int], attempt: int = 0) -> None:
        """Append lines, for whoever else reads it."""
        text = "".join(f"{letter} {number} {attempt}\n" for number in numbers)
        with suppress(OSError):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                os.write(descriptor, text.encode())
            finally:
                os.close(descriptor)
