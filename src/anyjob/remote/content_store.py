"""Bodies that were sent to this machine by themselves: files by their hash, until nobody uses them."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path

from anyjob.errors import SpecError, StateError
from anyjob.ledger.file.statedir import cannot_write
from anyjob.spool.private_files import make_private, open_private

_HASH = re.compile(r"[0-9a-f]{64}")
KEPT = 24 * 3600.0
"""Seconds for which a body is kept after it was last sent or used."""


class BodyStore:
    """The bodies below a state directory.

    Args:
        state: the state directory.
    """

    def __init__(self, state: Path) -> None:
        self._directory = state / "remote" / "bodies"

    def missing(self, hashes: list[str]) -> list[str]:
        """Return those that are not here; the others are kept for another while."""
        absent = []
        for sha256 in hashes:
            try:
                os.utime(self._path(sha256))
            except OSError:
                absent.append(sha256)
        return absent

    def put(self, sha256: str, offset: int, data: bytes, *, last: bool, channel: int) -> None:
        """Take in a part of a body; with the last one it is there.

        Args:
            sha256: its hash.
            offset: where the part belongs.
            data: the part.
            last: whether it is the last one.
            channel: who sends it: each has a file of its own until it is whole.

        Raises:
            SpecError: it is not what its hash says.
            StateError: it cannot be written.
        """
        path = self._path(sha256)
        part = path.with_name(f"{sha256}.{channel}.part")
        try:
            make_private(self._directory)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (0 if offset else os.O_TRUNC)
            with open(os.open(part, flags, 0o600), "r+b") as stream:
                stream.seek(offset)
                stream.write(data)
                stream.flush()
                if not last:
                    return
                stream.seek(0)
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != sha256:
                part.unlink()
                raise SpecError("a file that was sent has not come as it was: send it once more")
            part.rename(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise cannot_write(path, error) from error

    def load(self, sha256: str) -> bytes:
        """Return a body.

        Raises:
            StateError: it is not here.
        """
        try:
            with open_private(self._path(sha256)) as stream:
                return stream.read()
        except OSError as error:
            raise StateError(f"a file that was sent is not there any more: {error.strerror}") from error

    def sweep(self) -> None:
        """Remove what nobody has used for long."""
        try:
            for entry in os.scandir(self._directory):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > KEPT:
                    os.unlink(entry.path)
        except OSError:
            pass  # another one sweeps, or there are none

    def _path(self, sha256: str) -> Path:
        if not _HASH.fullmatch(sha256):
            raise SpecError(f"{sha256!r:.80} is no hash")
        return self._directory / sha256
