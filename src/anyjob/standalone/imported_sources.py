"""Which files the modules of this process were imported from, and whether they have changed since.

It imports the standard library alone: see `anyjob.standalone.call_server`.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ImportedSources:
    """Notes what a user's own modules are imported from, as it is before they are read.

    It is a finder of modules, for the first place in ``sys.meta_path``: it finds what those behind it do.
    A file that changes while a module is imported from it, or while the call runs that has imported it,
    is another one then than was noted.
    """

    def __init__(self) -> None:
        self._noted: dict[str, tuple[int, int] | None] = {}
        self._modules = 0

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Ask the other finders; note the file that they have found."""
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = find and find(name, path, target)
            if spec:
                if spec.has_location and not is_installed(spec.origin):
                    self._noted[spec.origin] = identity(spec.origin)
                return spec
        return None

    def note_others(self) -> None:
        """Note those of modules that were imported in another way, as they are by now."""
        if len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and path not in self._noted and not is_installed(path):
                self._noted[path] = identity(path)

    def are_outdated(self, submitted: float) -> bool:
        """Tell whether one is another than it was when it was imported.

        Args:
            submitted: what has changed after this moment, in seconds since 1970, is as it was before.
        """
        for path, known in self._noted.items():
            found = identity(path)
            if found != known and (found is None or found[0] <= submitted * 1e9):
                return True
        return False


_OURS = os.path.dirname(__file__)
_INSTALLED = tuple(os.path.join(prefix, "") for prefix in {sys.prefix, sys.base_prefix, sys.exec_prefix})


def is_installed(path: str) -> bool:
    """Tell whether a module is of Python, of what is installed there, or ours: it is not looked at again."""
    return (
        path.startswith(_INSTALLED)
        or os.path.dirname(path) == _OURS
        or f"{os.sep}site-packages{os.sep}" in path
        or f"{os.sep}dist-packages{os.sep}" in path
    )


def identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from what it was: when it was changed, and its size."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
