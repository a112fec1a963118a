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
from contextlib import suppress
from pathlib import Path

from anyjob.errors import SpecError, StateError
from anyjob.ledger.file.statedir import cannot_write
from anyjob.specs import File
from anyjob.spool.job_spool import INPUTS, held_input
from anyjob.spool.private_files import copy_whole, make_private, open_private

LARGE = 1 << 20
"""Bytes from which a file is kept here, and not in memory and in the ledger with its job."""
UNUSED = 3600.0
"""Seconds for which what no job needs is kept after it was last taken, sent or asked for."""
_HASH = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 18  # what the caches of a processor hold: several do something with each
_KEPT = 0o400  # all jobs read the same file: one that writes to its /dev/stdin would change it for all


class ContentStore:
    """The content that is kept below a state directory.

    Args:
        state: the state directory.
    """

    def __init__(self, state: Path) -> None:
        self._directory = state / INPUTS
        self._known: dict[tuple[str, int, int, int, int], str] = {}  # hashes of files that were as they are
        self._arriving: dict[str, _Arriving] = {}  # what comes in parts, by the name of its file

    # --- of files here ------------------------------------------------------------------------------

    def take(self, file: File) -> File:
        """Return a file with its content taken: with it, or where it is large, with its hash.

        Raises:
            SpecError: it cannot be read.
            StateError: it cannot be kept.
        """
        if file.sha256:
            return file
        if file.content is not None:
            if len(file.content) < LARGE:
                return file
            return File(file.path, sha256=self._keep(io.BytesIO(file.content)))
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
                sha256 = self._known[key] = self._keep(stream)
            return File(file.path, sha256=sha256)

    def in_memory(self, file: File) -> File:
        """Return a file with its content, wherever that is.

        Raises:
            SpecError: it cannot be read.
            StateError: what was kept is not there any more.
        """
        return File(file.path, self.load(file.sha256)) if file.sha256 else file.taken()

    def _keep(self, source: io.RawIOBase | io.BytesIO, *, anew: bool = False) -> str:
        """Copy what is read, in parts; return its hash. What is here already stays, if not wanted anew."""
        part = self._directory / f"{os.getpid()}.{threading.get_ident()}.part"
        digest, buffer = hashlib.sha256(), memoryview(bytearray(_CHUNK))
        try:
            make_private(self._directory)
            with open(part, "wb", buffering=0, opener=_private) as target:
                while size := source.readinto(buffer):
                    digest.update(buffer[:size])
                    _write_all(target.fileno(), buffer[:size])
                os.fchmod(target.fileno(), _KEPT)
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

    def put(self, sha256: str, offset: int, data: bytes | memoryview, *, last: bool, channel: int) -> None:
        """Take in a part of what is sent; with the last one it is here.

        Args:
            sha256: the hash of all.
            offset: where the part belongs.
            data: the part.
            last: whether it is the last one.
            channel: who sends it: each has a file of its own until it is whole.

        Raises:
            SpecError: it is not what its hash says.
            StateError: it cannot be written.
        """
        path = self.path(sha256)
        part = path.with_name(f"{sha256}.{channel}.part")
        try:
            make_private(self._directory)
            if not offset:
                self._arriving[part.name] = _Arriving()
            arriving = self._arriving.get(part.name) or _Arriving()
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (0 if offset else os.O_TRUNC)
            with open(os.open(part, flags, 0o600), "r+b", buffering=0) as stream:
                _write_all(stream.fileno(), data, offset)
                arriving.take(stream.fileno(), offset, data)
                if not last:
                    return
                self._arriving.pop(part.name, None)
                found = arriving.hash_of(offset + len(data))
                os.fchmod(stream.fileno(), _KEPT)
            if found != sha256:
                part.unlink()
                raise SpecError("a file that was sent has not come as it was: send it once more")
            part.rename(path)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise cannot_write(path, error) from error

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


class _Arriving:
    """Hashes a file whose parts come in any order, as they come: at its end nothing of it is read again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digest = hashlib.sha256()
        self._done = 0  # bytes from the beginning that are hashed
        self._written: dict[int, int] = {}  # parts behind these: how many bytes, by their offset

    def take(self, descriptor: int, offset: int, data: bytes | memoryview) -> None:
        """Take in a part that was written to a file."""
        with self._lock:
            if offset == self._done:  # as most do
                self._digest.update(data)
                self._done += len(data)
            else:
                self._written[offset] = len(data)
            while (size := self._written.pop(self._done, 0)) > 0:
                self._digest.update(os.pread(descriptor, size, self._done))
                self._done += size

    def hash_of(self, size: int) -> str:
        """Return the hash of a file of this size; empty where some of it has not come."""
        with self._lock:
            return self._digest.hexdigest() if self._done == size else ""


def _write_all(descriptor: int, data: bytes | memoryview, offset: int | None = None) -> None:
    """Write all of what is given, at its end or from an offset on."""
    view, written = memoryview(data), 0
    while written < len(view):
        rest = view[written:]
        written += (
            os.write(descriptor, rest) if offset is None else os.pwrite(descriptor, rest, offset + written)
        )


def _gone(error: OSError) -> StateError:
    return StateError(f"a file that goes with a job is not there any more: {error.strerror}")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
