"""Files that are the user's own, and no links: how they are opened, read and written."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from anyjob import _typing as t
from anyjob.errors import StateError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def open_private(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading that must be the user's own and no link; nor may its directory be one.

    What is unpickled, or said to be the outcome of a job, is read by way of this.

    Raises:
        StateError: it is somebody else's, or no plain file.
        OSError: it cannot be opened.
    """
    return open(_opened(path), "rb")


def read_range(path: str | os.PathLike[str], offset: int, size: int = 1 << 20) -> bytes:
    """Read a part of a file, which must be as `open_private` wants it.

    Args:
        path: the file.
        offset: bytes from its beginning.
        size: bytes at most; by default 1 MiB.

    Returns:
        what there is; nothing where there is no such file yet, and at its end. Nor what is written to it once
        it is not there any more: another job may have it then.

    Raises:
        StateError: it is somebody else's, or no plain file.
        OSError: it cannot be read.
    """
    try:
        descriptor = _opened(path)
    except FileNotFoundError:
        return b""
    try:
        data = os.pread(descriptor, size, offset)
        return data if not data or _is_at(path, descriptor) else b""
    finally:
        os.close(descriptor)


def write_private(path: t.Path, data: bytes, *, durable: bool = False) -> None:
    """Write a file of mode 0600, which appears at once or not at all.

    Directories on the way to it that are missing are made, of mode 0700. What was there is replaced; a link
    is, too, and not followed.

    Args:
        path: the file.
        data: all that it is to hold.
        durable: have it, and its name in its directory, reach the disk before this returns. The directories
            above are the caller's to `sync_directories`.

    Raises:
        OSError: it cannot be written; nothing of it is left.
    """
    make_private(path.parent)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            if durable:
                os.fsync(descriptor)
        os.rename(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = os.fspath(path)  # what failed was a write to a descriptor, which has no name
        raise
    if durable:
        sync_directories(path.parent)


def write_new(path: t.Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that is not there yet, where nobody looks for it before it is whole.

    Args:
        path: the file, in a directory that is there.
        data: all that it is to hold.
        mode: for the user alone.

    Raises:
        OSError: it is there already, or cannot be written.
    """
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, how, mode)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def open_new(path: t.Path) -> BinaryIO:
    """Open a file for writing that is not there yet, of mode 0600.

    Raises:
        OSError: it is there already, or cannot be made.
    """
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(path, how, 0o600), "wb")


def write_all(descriptor: int, data: bytes | memoryview, offset: int | None = None) -> None:
    """Write all of what is given where the descriptor stands, or from an offset on.

    Raises:
        OSError: it cannot be written.
    """
    view, written = memoryview(data), 0
    while written < len(view):
        rest = view[written:]
        if offset is None:
            written += os.write(descriptor, rest)
        else:
            written += os.pwrite(descriptor, rest, offset + written)


def copy_whole(source: t.Path, target: t.Path) -> None:
    """Copy a file to where there is none, without having it in memory.

    Raises:
        OSError: it cannot be; nothing of it is left, which would keep a disk full that it has filled.
    """
    import shutil  # which brings all that unpacks archives

    try:
        shutil.copyfile(source, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def sync_directories(lowest: t.Path, highest: t.Path | None = None) -> None:
    """Have the names in a directory reach the disk, and those in each above it.

    Args:
        lowest: the directory.
        highest: the last one; by default the same.

    Raises:
        OSError: the disk has failed.
    """
    highest = lowest if highest is None else highest
    for directory in (lowest, *lowest.parents):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if directory == highest:
            return


def append_private(path: t.Path) -> BinaryIO:
    """Open a file of mode 0600 that what a process writes is added to.

    Raises:
        OSError: it cannot be opened.
    """
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb")


def make_private(directory: t.Path) -> None:
    """Make a directory of mode 0700, and those above it that are missing.

    Raises:
        OSError: it cannot be made.
    """
    if not directory.is_dir():
        if not directory.parent.is_dir():
            make_private(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


def _is_at(path: str | os.PathLike[str], descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _opened(path: str | os.PathLike[str]) -> int:
    head, name = os.path.split(path)
    directory = os.open(head or ".", _DIRECTORY)
    try:
        descriptor = os.open(name, _FILE, dir_fd=directory)
    finally:
        os.close(directory)
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise StateError(f"{path} is not a plain file of yours: it is not read")
    return descriptor
