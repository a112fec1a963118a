"""Where a supervisor was loaded from: one whose installation has gone serves nobody new."""

from __future__ import annotations

import os


class Installation:
    """The file or archive that this was loaded from: where that was removed or replaced, so was anyjob."""

    def __init__(self) -> None:
        self._found = self._look()

    def is_in_place(self) -> bool:
        """Tell whether it is what it was."""
        return self._look() == self._found

    @staticmethod
    def _look() -> tuple[int, ...] | None:
        path = __file__
        while True:
            try:
                found = os.stat(path)
            except NotADirectoryError:
                path = os.path.dirname(path)
            except OSError:
                return None
            else:
                return found.st_dev, found.st_ino, found.st_mtime_ns
