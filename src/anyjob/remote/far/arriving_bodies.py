"""Bodies that come in parts over one channel: each a file of its own until it is whole."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress

from anyjob.errors import SpecError
from anyjob.ledger.file.statedir import cannot_write
from anyjob.runtime.recording.content_store import ContentStore
from anyjob.spool.private_files import make_private, write_all


class ArrivingBodies:
    """Takes in what comes over one channel. Several threads may call it.

    Args:
        store: gets what is whole.
    """

    def __init__(self, store: ContentStore) -> None:
        self._store = store
        self._mark = os.urandom(8).hex()  # tells the files of this channel from those of all others
        self._lock = threading.Lock()
        self._hashed: dict[int, _Hashed] = {}

    def put(self, number: int, offset: int, data: bytes | memoryview, sha256: str = "") -> None:
        """Take in a part; with the last one it is in the store.

        Args:
            number: that of the body.
            offset: where the part belongs.
            data: the part.
            sha256: of the last part, the hash of all.

        Raises:
            SpecError: it is not what its hash says.
            StateError: it cannot be written.
        """
        part = self._store.part(f"{self._mark}.{number}")
        with self._lock:
            hashed = self._hashed.setdefault(number, _Hashed())
        try:
            make_private(part.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(part, flags, 0o600)
            try:
                write_all(descriptor, data, offset)
                hashed.take(descriptor, offset, data)
            finally:
                os.close(descriptor)
            if not sha256:
                return
            with self._lock:
                del self._hashed[number]
            if hashed.hash_of(offset + len(data)) != sha256:
                raise SpecError("a file that was sent has not come as it was: send it once more")
            self._store.adopt(part, sha256)
        except (OSError, SpecError) as error:
            with suppress(OSError):
                part.unlink()
            if isinstance(error, SpecError):
                raise
            raise cannot_write(part, error) from error


class _Hashed:
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
