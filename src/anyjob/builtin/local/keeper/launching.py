"""How the keeper starts a program: directory, streams, environment, process."""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections import OrderedDict

import msgspec

from anyjob.builtin.local import process_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""The exit codes of what could not be started, as a shell gives them."""
_ENVIRONMENTS = 64


class StartFailed(Exception):
    """A job could not be started: the exit code that says so, and why."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Environment:
    """The variables of the process that submitted, and a digest to tell them apart by."""

    __slots__ = ("digest", "variables")

    def __init__(self, content: bytes) -> None:
        import hashlib

        self.digest = hashlib.sha256(content).digest()
        given = msgspec.msgpack.decode(content, type=dict[bytes, bytes], strict=False)
        self.variables = without_marks(given)


def without_marks(variables: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return variables less the marks of a job that submitted this one, or that started us."""
    ours = (*process_table.MARKS, process_table.ZYGOTE)
    return {name: value for name, value in variables.items() if name not in ours}


class Environments:
    """The environments last used, by the files that hold them."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Any, ...], Environment] = OrderedDict()
        self._own = Environment(msgspec.msgpack.encode(dict(os.environb)))

    def load(self, path: str | bytes | None) -> Environment:
        """Return the environment that a file holds; without a file, the keeper's own.

        Raises:
            StartFailed: there is no such file, it is not the user's own, or it holds something else.
        """
        if not path:
            return self._own
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise StartFailed(NOT_EXECUTABLE, f"its environment {path!r}: {error.strerror}") from None
        try:
            found = os.fstat(fd)
            key = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
            known = self._known.get(key)
            if known is None:
                if found.st_uid != os.getuid() or not stat.S_ISREG(found.st_mode):
                    raise StartFailed(NOT_EXECUTABLE, f"its environment {path!r} is not a file of yours")
                known = self._known[key] = Environment(_read_all(fd, found.st_size))
                if len(self._known) > _ENVIRONMENTS:
                    self._known.popitem(last=False)
            else:
                self._known.move_to_end(key)
        except msgspec.MsgspecError as error:
            raise StartFailed(NOT_EXECUTABLE, f"its environment {path!r} is damaged: {error}") from None
        finally:
            os.close(fd)
        return known


def _read_all(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (chunk := os.read(fd, size - len(data))):
        data += chunk
    return data


def make_spool(path: str) -> None:
    """Make the directory of a job, or take the one that is there if it is the user's own.

    Raises:
        StartFailed: neither is possible.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            message = f"its directory {path!r} is a link or somebody else's: it is not used"
            raise StartFailed(NOT_EXECUTABLE, message) from None
        try:
            os.unlink(path + "/outcome.pkl")  # of an earlier attempt
        except FileNotFoundError:
            return
    except OSError as error:
        raise StartFailed(
            NOT_EXECUTABLE, f"its directory {path!r} cannot be made: {error.strerror}"
        ) from None


def open_streams(spool: str, stdin: str | None, null: int) -> tuple[int, int, int]:
    """Open what a job reads and writes: its stdin (or ``null``), and the files of its output.

    Raises:
        StartFailed: one of them cannot be opened.
    """
    opened: list[int] = []
    mode = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    path = stdin or ""
    try:
        source = null if stdin is None else os.open(stdin, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if source != null:
            opened.append(source)
        for path in (spool + "/stdout", spool + "/stderr"):
            opened.append(os.open(path, mode, 0o600))
    except OSError as error:
        close_all(opened)
        raise StartFailed(NOT_EXECUTABLE, f"{path!r} cannot be opened: {error.strerror}") from None
    return source, opened[-2], opened[-1]


def close_all(descriptors: list[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)


def lay_files(spool: str, files: Mapping[str, str]) -> None:
    """Copy files into the ``files`` of a job's directory, private to the user.

    Raises:
        StartFailed: one of them cannot be copied.
    """
    name = ""
    try:
        os.makedirs(spool + "/files", 0o700, exist_ok=True)
        for name, path in files.items():
            if "/" in name or name in ("", ".", ".."):
                raise StartFailed(NOT_EXECUTABLE, f"{name!r} is no name for a file")
            _copy(path, f"{spool}/files/{name}")
    except OSError as error:
        raise StartFailed(NOT_EXECUTABLE, f"its file {name!r} cannot be laid: {error.strerror}") from None


def _copy(path: str, to: str) -> None:
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        target = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            while os.sendfile(target, source, None, 1 << 24):
                pass
        finally:
            os.close(target)
    finally:
        os.close(source)


def enter(cwd: str | bytes | None) -> None:
    """Go to a job's working directory; what starts there is started from there.

    Raises:
        StartFailed: it is not there, or may not be entered.
    """
    if not cwd:
        return
    try:
        os.chdir(cwd)
    except OSError as error:
        shown = os.fsdecode(cwd)
        why = (
            "is not there" if isinstance(error, FileNotFoundError) else f"cannot be entered: {error.strerror}"
        )
        raise StartFailed(NOT_EXECUTABLE, f"cannot start: its directory {shown!r} {why}") from None


def program(name: bytes, variables: Mapping[bytes, bytes]) -> bytes:
    """Return the path of a program, sought on the PATH of the job.

    Raises:
        StartFailed: there is none of that name, or none that may be executed.
    """
    if b"/" in name:
        return name
    search = variables.get(b"PATH", os.fsencode(os.defpath))
    seen = False
    for directory in search.split(b":") if name else ():
        path = (directory or b".") + b"/" + name
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
        seen = seen or os.path.isfile(path)
    shown = os.fsdecode(name)
    if seen:
        raise StartFailed(NOT_EXECUTABLE, f"cannot start: {shown!r} on PATH may not be executed")
    raise StartFailed(NOT_FOUND, f"cannot start: {shown!r} is not there, nor anywhere on PATH")


def spawn(
    argv: list[bytes], variables: Mapping[bytes, bytes], streams: tuple[int, ...], ignored: list[int]
) -> int:
    """Start a program in a session of its own, and return its pid.

    Args:
        argv: the program and its arguments.
        variables: all of its environment.
        streams: the descriptors that become its 0, 1, 2 and so on; it gets no other.
        ignored: the signals that we ignore and it should not.

    Raises:
        StartFailed: it cannot be started.
    """
    if not argv:
        raise StartFailed(NOT_FOUND, "cannot start: there is no program to start")
    path = program(argv[0], variables)
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(streams)]
    try:
        return os.posix_spawn(
            path, argv, variables, file_actions=actions, setsid=True, setsigmask=(), setsigdef=ignored
        )
    except ValueError as error:  # a NUL byte
        raise StartFailed(NOT_EXECUTABLE, f"cannot start: {error}") from None
    except OSError as error:
        shown = os.fsdecode(argv[0])
        if error.errno == errno.ENOENT:
            raise StartFailed(NOT_FOUND, f"cannot start: {shown!r} is not there") from None
        raise StartFailed(NOT_EXECUTABLE, f"cannot start: {shown!r}: {error.strerror}") from None


def ignored_signals() -> list[int]:
    """Return the signals that this process ignores."""
    return [number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN]
