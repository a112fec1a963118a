"""What a program finds at its start: its directory in the spool, its streams, its working directory."""

from __future__ import annotations

import os
import stat

from anyjob.builtin.local.keeper.launch.errors import NOT_EXECUTABLE, StartFailed
from anyjob.text.full_disk import explain


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
            NOT_EXECUTABLE, f"its directory {path!r} cannot be made: {explain(error)}"
        ) from error


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
        raise StartFailed(NOT_EXECUTABLE, f"{path!r} cannot be opened: {explain(error)}") from error
    return source, opened[-2], opened[-1]


def close_all(descriptors: list[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)


def change_directory(cwd: str | bytes | None) -> None:
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
