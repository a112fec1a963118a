"""Whether the ledger has changed: a question that costs microseconds, so that it may be asked often."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

_Seen = tuple[tuple[int, int], int] | None


class Changes:
    """Tells whether a ledger was written since it was asked last.

    It has a connection of its own, since SQLite tells only of what others have written; that reads no row,
    and follows where the file is replaced.

    Args:
        path: the file of the ledger, whether it is there or not.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._seen: _Seen = None
        self._asked = False

    def any(self) -> bool:
        """Tell whether it was written since this was asked last; the first time it was."""
        before, self._seen = self._seen, self._look()
        first, self._asked = not self._asked, True
        return first or self._seen != before

    def close(self) -> None:
        """Close the connection."""
        if self._db is not None:
            self._db.close()
        self._db = self._file = None

    def _look(self) -> _Seen:
        try:
            found = os.stat(self._path)
            file = found.st_dev, found.st_ino
            if self._db is None or file != self._file:
                self.close()
                self._db = sqlite3.connect(
                    f"{self._path.as_uri()}?mode=ro", uri=True, timeout=0.1, check_same_thread=False
                )
                self._file = file
            return file, int(self._db.execute("PRAGMA data_version").fetchone()[0])
        except (OSError, sqlite3.Error):  # it is not there yet, or on its way: whoever reads it tells more
            with suppress(sqlite3.Error):
                self.close()
            return None
