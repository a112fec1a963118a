"""The environments of the processes that submitted: read from their files, checked, the last ones kept."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict

from anyjob.builtin.local import process_table
from anyjob.builtin.local.keeper.launch.errors import NOT_EXECUTABLE, StartFailed
from anyjob.spool import environment_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

KEPT = 64


class Environment:
    """What jobs get of the process that submitted, less the marks of a job; and what that is known by."""

    __slots__ = ("attributes", "key", "variables")

    def __init__(self, variables: Mapping[bytes, bytes], attributes: dict[str, Any] | None = None) -> None:
        self.variables = without_marks(variables)
        self.attributes = attributes
        self.key = (frozenset(self.variables.items()), repr(attributes))


class Environments:
    """The environments last read, by the files that hold them."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, ...], Environment] = OrderedDict()
        self._own = Environment(os.environb)

    def load(self, path: str | bytes | None) -> Environment:
        """Return the environment that a file holds; without a file, the keeper's own.

        Raises:
            StartFailed: there is no such file, it is not the user's own, or it holds something else.
        """
        if not path:
            return self._own
        try:
            known = self._known.get(_identity(os.lstat(path)))
        except OSError:
            known = None
        return self._read(path) if known is None else known

    def _read(self, path: str | bytes) -> Environment:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise StartFailed(NOT_EXECUTABLE, f"its environment {path!r}: {error.strerror}") from None
        try:
            found = os.fstat(fd)
            if found.st_uid != os.getuid() or not stat.S_ISREG(found.st_mode):
                raise StartFailed(NOT_EXECUTABLE, f"its environment {path!r} is not a file of yours")
            held = environment_file.decode(_read_all(fd, found.st_size))
            known = self._known[_identity(found)] = Environment(*held)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        except ValueError as error:
            raise StartFailed(NOT_EXECUTABLE, f"its environment {path!r} is damaged: {error}") from None
        finally:
            os.close(fd)
        return known


def _identity(found: os.stat_result) -> tuple[int, ...]:
    """Return what tells a file, as it is, from all others."""
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _read_all(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (chunk := os.read(fd, size - len(data))):
        data += chunk
    return data


def without_marks(variables: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return variables less the marks of a job that submitted this one, or that started us."""
    ours = (*process_table.MARKS, process_table.ZYGOTE)
    return {name: value for name, value in variables.items() if name not in ours}
