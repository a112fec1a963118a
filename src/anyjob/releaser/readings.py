"""Which job a releaser reads: one whose call ends, or blocks, the process that reads it stops no others.

To read a call is to import what it is made of. A module may end the process by that, without a word, or wait
for ever: the next releaser would do the same.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anyjob.builtin.local.error_log import log_error
from anyjob.errors import SpecError

TRIES = 5
"""How often a releaser may end while it reads a job, before that is given up: somebody may have killed it."""
LONGEST = 120.0
"""Seconds that reading a job may take. Qiskit was imported in 14 on a busy machine."""
ROOM = 64
"""Bytes of a note; blanks fill it."""


class Readings:
    """Notes in a file what is being read, and knows what the releasers before it have ended at.

    Args:
        path: the file; whoever has it open has the lock of these surroundings.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        noted = os.pread(self._file, ROOM, 0).split()
        self._failed: dict[str, int] = {}
        if len(noted) == 2:
            job_id, before = noted[0].decode(), int(noted[1]) + 1
            self._failed[job_id] = before
            log_error(f"a releaser has ended while it read job {job_id}: {before} of {TRIES} times")
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # it ends the process, whatever that waits for

    @contextmanager
    def __call__(self, job_id: str) -> Iterator[None]:
        """Read a job within.

        Raises:
            SpecError: releasers have ended at it too often.
        """
        failed = self._failed.get(job_id, 0)
        if failed >= TRIES:
            raise SpecError(
                f"its call cannot be read: {TRIES} times the process that was to hand it over ended while it "
                f"read it, or was ended after {LONGEST:.0f} s; a module of it ends or blocks what imports it "
                "(what it does as a program belongs below `if __name__ == '__main__':`)"
            )
        self._note(f"{job_id} {failed}")
        signal.setitimer(signal.ITIMER_REAL, LONGEST)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._note("")

    def _note(self, text: str) -> None:
        with suppress(OSError):  # on a full disk, jobs are handed over all the same
            os.pwrite(self._file, text.ljust(ROOM).encode(), 0)
