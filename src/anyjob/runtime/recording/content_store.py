"""Large files that go with work: kept once each, by the hash of their content, until no job needs them.

They lie below the state directory. A job that needs one has a hard link to it in its own directory: so the
file system counts who does.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from anyjob.errors import SpecError, StateError
from anyjob.ledger.file.statedir import cannot_write
from anyjob.specs import File
from anyjob.spool.job_spool import INPUTS, held_input
from anyjob.spool.private_files import copy_whole, make_private, open_private, write_all

LARGE = 1 << 20
"""Bytes from which a file is kept here, and not in memory and in the ledger with its job."""
UNUSED = 3600.0
"""Seconds for which what no job needs is kept after it was last taken, sent or asked for."""
_HASH = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20
_PIECE = 64 << 10
_LOOKED_AT = 16
_KEPT = 0o400  # all jobs read the same file: one that writes to its /dev/stdin would change it for all


class Beside(Protocol):
    """Gets what is taken, while it is."""

    def put(self, data: bytes) -> None:
        """Get a part."""

    def end(self, sha256: str) -> None:
        """Get the hash of all."""


class ContentStore:
    """The content that is kept below a state directory.

    Args:
        state: the state directory.
    """

    def __init__(self, state: Path) -> None:
        self._directory = state / INPUTS
        self._known: dict[tuple[str, int, int, int, int], str] = {}  # hashes of files that were as they are

    # --- of files here ------------------------------------------------------------------------------

    def take(self, file: File, beside: Callable[[int, str], Beside | None] | None = None) -> File:
        """Return a file with its content taken: with it, or where it is large, with its hash.

        Args:
            file: the file.
            beside: called with the size of what is large, and read, and a sample of it: gives what gets it
                meanwhile.

        Raises:
            SpecError: it cannot be read.
            StateError: it cannot be kept.
        """
        if file.sha256:
            return file
        if file.content is not None:
            if len(file.content) < LARGE:
                return file
            return File(
                file.path, sha256=self._keep_beside(io.BytesIO(file.content), len(file.content), beside)
            )
        try:
            stream = open(file.path, "rb", buffering=0)  # noqa: SIM115 - it is closed below
        except OSError:
            return file.taken()  # which says why not
        with stream:
            found = os.fstat(stream.fileno())
            if found.st_size < LARGE or not stat.S_ISREG(found.st_mode):
                return file.taken()
            key = (file.path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            sha256 = self._known.get(key)
            if sha256 is None or self.missing([sha256]):
                if not self._known:
                    self.sweep()  # once for all that are taken together
                sha256 = self._known[key] = self._keep_beside(stream, found.st_size, beside)
            return File(file.path, sha256=sha256)

    def in_memory(self, file: File) -> File:
        """Return a file with its content, wherever that is.

        Raises:
            SpecError: it cannot be read.
            StateError: what was kept is not there any more.
        """
        return File(file.path, self.load(file.sha256)) if file.sha256 else file.taken()

    def _keep_beside(
        self,
        source: io.RawIOBase | io.BytesIO,
        size: int,
        beside: Callable[[int, str], Beside | None] | None,
    ) -> str:
        return self._keep(source, beside and beside(size, sample_of(source, size)))

    def _keep(
        self, source: io.RawIOBase | io.BytesIO, beside: Beside | None = None, *, anew: bool = False
    ) -> str:
        """Copy what is read, in parts; return its hash. What is here already stays, if not wanted anew."""
        part = self.part(f"{os.getpid()}.{threading.get_ident()}")
        digest = hashlib.sha256()
        try:
            make_private(self._directory)
            with open(part, "wb", buffering=0, opener=_private) as target:
                while data := source.read(_CHUNK):
                    if beside is not None:
                        beside.put(data)
                    digest.update(data)
                    write_all(target.fileno(), data)
                os.fchmod(target.fileno(), _KEPT)
            if beside is not None:
                beside.end(digest.hexdigest())
            if anew or self.missing([digest.hexdigest()]):
                os.rename(part, self._directory / digest.hexdigest())
            else:
                part.unlink()  # jobs hold the other one, which would be there beside this
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise cannot_write(self._directory, error) from error
        return digest.hexdigest()

    # --- for jobs -----------------------------------------------------------------------------------

    def hold(self, sha256: str, directory: Path, *, durable: bool = False) -> None:
        """Have a job need what is kept, for as long as its directory is there.

        Args:
            sha256: its hash.
            directory: that of the job.
            durable: have the content reach the disk before this returns.

        Raises:
            StateError: it is not here, or that cannot be written.
        """
        path, link = self.path(sha256), held_input(directory, sha256)
        try:
            make_private(link.parent)
            try:
                os.link(path, link)
            except FileExistsError:
                pass
            except FileNotFoundError as error:
                raise _gone(error) from error
            except OSError as error:
                if error.errno == errno.EMLINK:  # ext4 counts 65,000 of a file: the next ones need another
                    with open(path, "rb", buffering=0) as stream:
                        self._keep(stream, anew=True)
                    os.link(path, link)
                else:  # the file system has no links, or the job's directory lies on another one
                    copy_whole(path, link)
            if durable:
                with open(link, "rb") as stream:
                    os.fsync(stream.fileno())
        except OSError as error:
            raise cannot_write(link, error) from error

    # --- sent by another machine ----------------------------------------------------------------------

    def missing(self, hashes: list[str]) -> list[str]:
        """Return those that are not here; the others are kept for another while."""
        absent = []
        for sha256 in hashes:
            try:
                os.utime(self.path(sha256))
            except OSError:
                absent.append(sha256)
        return absent

    def may_have(self, size: int, sample: str) -> bool:
        """Tell whether anything of so many bytes is kept with this sample; else that is not here.

        Args:
            size: bytes of it.
            sample: as `sample_of` gives it.
        """
        found = []
        with suppress(OSError):
            for entry in os.scandir(self._directory):
                if _HASH.fullmatch(entry.name) and entry.stat(follow_symlinks=False).st_size == size:
                    found.append(entry.path)
        for path in found if len(found) <= _LOOKED_AT else ():
            with suppress(OSError), open_private(path) as stream:
                if sample_of(stream, size) == sample:
                    return True
        return len(found) > _LOOKED_AT

    def part(self, name: str) -> Path:
        """Return where something lies until it is whole."""
        return self._directory / f"{name}.part"

    def adopt(self, part: Path, sha256: str) -> None:
        """Keep what is whole, of this hash.

        Raises:
            SpecError: this is no hash.
            OSError: it cannot be.
        """
        path = self.path(sha256)
        os.chmod(part, _KEPT)
        part.rename(path)

    def load(self, sha256: str) -> bytes:
        """Return what is kept.

        Raises:
            StateError: it is not here.
        """
        try:
            with open_private(self.path(sha256)) as stream:
                return stream.read()
        except OSError as error:
            raise _gone(error) from error

    def path(self, sha256: str) -> Path:
        """Return where it is kept, if it is.

        Raises:
            SpecError: this is no hash.
        """
        if not _HASH.fullmatch(sha256):
            raise SpecError(f"{sha256!r:.80} is no hash")
        return self._directory / sha256

    def sweep(self) -> None:
        """Remove what no job needs, and nobody has sent or asked for in long."""
        with suppress(OSError):  # another one sweeps, or there are none
            for entry in os.scandir(self._directory):
                found = entry.stat(follow_symlinks=False)
                if found.st_nlink == 1 and time.time() - found.st_mtime > UNUSED:
                    os.unlink(entry.path)


def sample_of(stream: BinaryIO | io.RawIOBase | io.BytesIO, size: int) -> str:
    """Return what most likely tells what is read from others of its size: a hash of three pieces of it."""
    digest = hashlib.sha256()
    for offset in (0, size // 2, max(0, size - _PIECE)):
        stream.seek(offset)
        digest.update(stream.read(_PIECE))
    stream.seek(0)
    return digest.hexdigest()


def _gone(error: OSError) -> StateError:
    return StateError(f"a file that goes with a job is not there any more: {error.strerror}")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
