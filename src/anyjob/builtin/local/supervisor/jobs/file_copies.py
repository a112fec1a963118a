"""The large files that go with programs are copied by a thread, while other jobs start and end.

One job's are copied at a time: the disk is no faster with several.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Container
from pathlib import Path

from anyjob.execution.spawning import find_room, write_files
from anyjob.specs import Command

Key = tuple[str, int]
"""Id and attempt of a job."""
WAKE = signal.SIGURG
"""Has the supervisor look around, which otherwise waits for its sockets."""


class FilesNotThereYet(Exception):
    """The large files of a job are being copied, or those of another, after which its own are."""


class FileCopies:
    """Which jobs have their files, of those that have large ones."""

    def __init__(self) -> None:
        self._busy: Key | None = None
        self._done: dict[Key, Exception | None] = {}

    @property
    def is_busy(self) -> bool:
        """Whether files are being copied now."""
        return self._busy is not None

    def lay(self, key: Key, command: Command, directory: Path) -> None:
        """See that the files of a job are there.

        Raises:
            FilesNotThereYet: they are not; ask again once nothing is copied any more.
            NoRoomForFilesError: they do not fit onto the disk.
            Exception: what `write_files` raised.
        """
        if key in self._done:
            error = self._done.pop(key)
            if error is not None:
                raise error
            return
        if self._busy is None:
            find_room(command, directory)
            self._busy = key
            arguments = key, command, directory
            threading.Thread(target=self._copy, args=arguments, name="file-copies", daemon=True).start()
        raise FilesNotThereYet

    def forget(self, job_ids: Container[str]) -> None:
        """These jobs do not start now."""
        for key in [key for key in self._done if key[0] in job_ids]:
            del self._done[key]

    def _copy(self, key: Key, command: Command, directory: Path) -> None:
        error: Exception | None = None
        try:
            write_files(command, directory)
        except Exception as raised:  # told to who starts the job, in its thread
            error = raised
        self._done[key] = error
        self._busy = None
        os.kill(os.getpid(), WAKE)
