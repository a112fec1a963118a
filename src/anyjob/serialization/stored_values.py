"""Values that are too large to be held as pickles: each in a file, which goes with who holds it."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from typing import Any

from anyjob.outcome import LocalValue
from anyjob.spool import result_pickles
from anyjob.standalone.pickle_streams import dump_or_spill

_directory: tuple[int, str] | None = None  # for the process of this pid


class StoredValue(LocalValue):
    """Stands in an outcome for a value whose pickle is in a file; each time it is a fresh copy.

    Args:
        path: the file, which is removed when this is collected.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        weakref.finalize(self, _remove, path, os.getpid()).atexit = False  # then all of them go

    @property
    def path(self) -> str:
        """The file that holds the pickle."""
        return self._path

    @property
    def value(self) -> Any:
        """The value, unpickled."""
        with open(self._path, "rb") as stream:
            return result_pickles.load(stream)

    def __reduce__(self) -> Any:
        return LocalValue, (self.value,)


def store(value: Any) -> bytes | StoredValue:
    """Pickle a value: into a file, where the pickle is large.

    Raises:
        Exception: it cannot be pickled; of whatever type the value's own code raises.
    """
    paths: list[str] = []

    def path() -> str:
        paths.append(new_path())
        return paths[-1]

    blob = dump_or_spill(value, path)
    return StoredValue(paths[-1]) if blob is None else blob


def new_path() -> str:
    """Return the path of a file that is not there, in a directory of this process that goes with it."""
    import tempfile

    global _directory
    if _directory is None or _directory[0] != os.getpid():
        import atexit

        _directory = os.getpid(), tempfile.mkdtemp(prefix="anyjob-values-")
        atexit.register(_remove_all, *_directory)
    return os.path.join(_directory[1], os.urandom(10).hex())


def _remove(path: str, pid: int) -> None:
    if os.getpid() == pid:  # else this is a fork of the program: the file is its parent's
        with suppress(OSError):
            os.unlink(path)


def _remove_all(pid: int, directory: str) -> None:
    import shutil

    if os.getpid() == pid:
        shutil.rmtree(directory, ignore_errors=True)
