"""The logs of workers: which calls each has begun, and what came of them; no other process writes to it.

What the keeper has read there it says in its own log; these are for what it has not, when it dies.
"""

from __future__ import annotations

import os

from anyjob.builtin.local.keeper.log.lines import END_FIELDS
from anyjob.spool import plain_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from anyjob.builtin.local.keeper.log.lines import ReplayedLog

DIRECTORY = "workers"
"""Where they are, beside the keeper's log."""


def directory(keeper_log: str | os.PathLike[str]) -> str:
    """Return the directory of the logs of a keeper's workers."""
    return os.path.join(os.path.dirname(keeper_log), DIRECTORY)


def left_in(path: str) -> list[str]:
    """Return the logs in a directory: while no keeper runs, those that a dead one has left."""
    try:
        return [f"{path}/{name}" for name in os.listdir(path)]
    except FileNotFoundError:
        return []


class WorkerLog:
    """A log that a worker writes and the keeper reads, which has no descriptor for it in between.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._read = 0

    def open(self) -> int:
        """Make the file, and return a descriptor for its worker.

        Raises:
            OSError: it cannot be made.
        """
        try:
            os.mkdir(os.path.dirname(self._path), 0o700)  # not those above, which may have been removed
        except FileExistsError:
            pass
        mode = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self._path, mode, 0o600)

    def receive(self) -> list[tuple[Any, ...]]:
        """Return the records that have come since the last time.

        Raises:
            OSError: it cannot be read.
            ValueError: something else was written to it.
        """
        fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            data = b""
            while more := os.pread(fd, 1 << 16, self._read + len(data)):
                data += more
                if len(more) < 1 << 16:
                    break
        finally:
            os.close(fd)
        found = list(_records(data))
        if found:
            self._read += found[-1][1]
        return [record for record, _ in found]

    def remove(self) -> None:
        """All that it says stands elsewhere; nobody writes to it any more."""
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            return


def _records(data: bytes) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield the records that are whole, each with where it ends."""
    at = 0
    while len(data) - at >= 4:
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if end > len(data):
            return
        yield plain_data.loads(data[at + 4 : end]), end
        at = end


def add_left(log: ReplayedLog, paths: list[str]) -> None:
    """Add what the workers of a dead keeper have logged to what its own log says; they are dead, too."""
    for path in paths:
        with open(path, "rb") as stream:
            data = stream.read()
        run: dict[str, Any] = {}
        try:
            for (kind, *fields), _ in _records(data):
                if kind == "begun":
                    job, attempt, time = fields
                    run = {"id": job, "attempt": attempt, "time": time, "pid": None, "starttime": None}
                    _add_begun(log, run)
                elif kind == "ended":
                    _add_ended(log, run, *fields)
        except (ValueError, KeyError, TypeError):
            continue  # what follows in a file that is damaged is nothing to go by


def _add_begun(log: ReplayedLog, run: dict[str, Any]) -> None:
    job = run["id"]
    known = [each[job]["attempt"] for each in (log.running, log.ended) if job in each]
    if max(known, default=0) < run["attempt"]:
        log.running[job] = run


def _add_ended(
    log: ReplayedLog,
    run: dict[str, Any],
    code: int,
    report: bytes | None,
    usage: dict[str, Any],
    finished: float,
    _seconds: float,
) -> None:
    job = run["id"]
    known = log.running.get(job)
    if known is None or known["attempt"] != run["attempt"]:
        return  # the keeper has said so, or an attempt after this
    del log.running[job]
    said = {"code": code, "report": report, "started": run["time"], "finished": finished, **usage}
    log.ended[job] = {**dict.fromkeys(END_FIELDS), "id": job, "attempt": run["attempt"], **said}
