"""What a program finds at its start: its directory in the spool, its streams, its working directory."""

from __future__ import annotations

import os
import stat

from anyjob.builtin.local.keeper.launch.errors import NOT_EXECUTABLE, StartFailed
from anyjob.text.full_disk import explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyjob.builtin.local.keeper.job import Job


def make_directory(job: Job) -> None:
    """Have a job find its directory, and make it once.

    Raises:
        StartFailed: that is not possible.
    """
    if not job.has_directory:
        make_spool(job.spool)
        job.has_directory = True


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


def open_streams(
    spool: str,
    stdin: str | None,
    null: int,
    outputs: Sequence[bytes | None] = (None, None),
    *,
    umask: int = 0o077,
    again: bool = False,
) -> tuple[int, int, int]:
    """Open what a job reads and writes: its stdin (or ``null``), and the files of its output.

    Args:
        spool: its directory.
        stdin: the file that it reads.
        null: what it reads else.
        outputs: files of the user's own for its stdout and its stderr, in place of those in the directory.
        umask: what those are made with.
        again: it has run before, and what it wrote to them is kept.

    Raises:
        StartFailed: one of them cannot be opened.
    """
    opened: list[int] = []
    mode = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    path: str | bytes = stdin or ""
    try:
        source = null if stdin is None else os.open(stdin, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if source != null:
            opened.append(source)
        for own, name in zip(outputs, ("/stdout", "/stderr"), strict=True):
            path = own or spool + name
            if own is None:
                opened.append(os.open(path, mode, 0o600))
            elif name == "/stderr" and own == outputs[0]:
                opened.append(os.dup(opened[-1]))
            else:
                opened.append(_open_output(own, umask, again))
    except OSError as error:
        close_all(opened)
        shown = os.fsdecode(path)
        raise StartFailed(NOT_EXECUTABLE, f"{shown!r} cannot be opened: {explain(error)}") from error
    return source, opened[-2], opened[-1]


def _open_output(path: bytes, umask: int, again: bool) -> int:
    """Open a file of the user's own, without waiting for whoever reads it, if it is a pipe."""
    mode = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_APPEND if again else os.O_TRUNC)
    before = os.umask(umask)
    try:
        fd = os.open(path, mode, 0o666)
    finally:
        os.umask(before)
    os.set_blocking(fd, True)
    return fd


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
