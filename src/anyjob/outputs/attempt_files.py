"""The attempts of a job, and what they leave in its directory: what one has written stays there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from anyjob.outcome import USAGE, Attempt, Outcome
from anyjob.outputs.log_reading import STREAMS
from anyjob.spool.job_spool import path_of
from anyjob.spool.private_files import read_range
from anyjob.status import JobStatus

_STEP = 0x9E3779B97F4A7C15F39D  # odd, and far from any that has few bits: ids of attempts look drawn, too


def attempt_id(job_id: str, number: int) -> str:
    """Return the id that an engine is given an attempt under, which knows of no attempts: another for each.

    So nothing that it, or its plugin, keeps of one is taken for the next one's; each has its own directory.
    That of the first is the job's.
    """
    return f"{(int(job_id, 16) + (number - 1) * _STEP) % (1 << 80):020x}"


def stream_of_attempt(stream: str, attempt: int) -> str:
    """Return the name of the file with what an attempt wrote that was followed by another."""
    return f"{stream}.{attempt}"


def logs_of_attempt(directory: str | os.PathLike[str] | None, attempt: int, first: int = 1) -> dict[str, str]:
    """Return the files with what an attempt wrote, by stream; empty where there are none.

    Args:
        directory: that of the job, if it has one here.
        attempt: its number.
        first: that of the first one of which something is there.
    """
    found = {}
    for stream in STREAMS if directory is not None else ():
        path = os.path.join(directory or "", stream_of_attempt(stream, attempt))
        if not os.path.exists(path) and attempt == _last_begun(directory or "", stream, first):
            path = os.path.join(directory or "", stream)
        if os.path.exists(path):
            found[stream] = path
    return found


def logs_of_launches(
    root: Path, job_id: str, before: Iterable[tuple[int, str, object]], attempt: int
) -> dict[str, str]:
    """Return the files with what an attempt wrote at an engine that was given each under an id of its own.

    Args:
        root: below what there are directories.
        job_id: whose attempt it is.
        before: of each attempt that was followed by another its number, and why it was.
        attempt: its number. What the engine has started anew by itself is in the directory that it had.
    """
    launched = max(n for n in (1, *(n + 1 for n, why, _ in before if why != "requeue")) if n <= attempt)
    return logs_of_attempt(path_of(root, attempt_id(job_id, launched)), attempt, launched)


def _last_begun(directory: str | os.PathLike[str], stream: str, first: int) -> int:
    """Return which attempt has written what is not put aside, as it is when the next one begins."""
    while os.path.exists(os.path.join(directory, stream_of_attempt(stream, first))):
        first += 1
    return first


def attempts_of(
    before: Iterable[tuple[int, str, Outcome]],
    last: Outcome | None,
    number: int,
    status: JobStatus,
    started: float | None,
    logs_of: Callable[[int], dict[str, str]],
) -> list[Attempt]:
    """Return the attempts of a job, the first of them first.

    Args:
        before: of each that was followed by another its number, why it was, and what came of it.
        last: what came of the last, if it has ended.
        number: its number.
        status: where it is, if it has not.
        started: when it started to run, if it has.
        logs_of: returns the files with what an attempt wrote, by stream.
    """
    found = []
    for n, why, outcome in before:
        attempt = _attempt(n, outcome, logs_of(n))
        attempt.followed_by = why
        found.append(attempt)
    has_begun = last is not None or status is JobStatus.RUNNING
    logs = logs_of(number) if has_begun or not found else {}
    if last is not None:
        return [*found, _attempt(number, last, logs)]
    return [*found, Attempt(number=number, status=status, started=started, logs=logs)]


def _attempt(number: int, outcome: Outcome, logs: dict[str, str]) -> Attempt:
    return Attempt(
        number=number,
        status=outcome.status,
        reason=outcome.reason,
        exit_code=outcome.exit_code,
        message=outcome.message,
        started=outcome.started,
        ended=outcome.finished,
        host=outcome.host,
        usage={name: value for name in USAGE if (value := getattr(outcome, name)) is not None},
        logs=logs,
    )


class LogReader:
    """Reads what a job writes from attempt to attempt, as if it were one stream, from the last begun one on.

    Args:
        directory: that of the job; None where it has none here: then it is the engine's to tell.
        stream: ``stdout`` or ``stderr``.
        attempt: the number of the attempt that is next, or runs, or was the last.
        read: returns what the engine has of that stream from an offset on.
        first: the number of the attempt to begin with, though it is yet to come.
        lowest: the number of the first attempt that this directory is of.
        goes_on: whether what follows that attempt is read, too.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None,
        stream: str,
        attempt: int,
        read: Callable[[int], bytes],
        first: int | None = None,
        *,
        lowest: int = 1,
        goes_on: bool = True,
    ) -> None:
        self._directory = directory
        self._stream = stream
        self._read = read
        self._before = 0  # bytes that the attempts before this one have written
        self.attempt = attempt  # the one that is read
        self._first = first or lowest
        self._goes_on = goes_on
        while self.attempt > lowest and self._aside(self.attempt - 1) is None and directory is not None:
            self.attempt -= 1  # what the one before has written is still where this one is to write

    def __call__(self, offset: int) -> bytes:
        """Return what there is from an offset on; nothing: no more now."""
        while self.attempt < self._first:
            if self._aside(self.attempt) is None:
                return b""  # what lies there is still that of an attempt before
            self.attempt += 1
        while True:
            chunk = b"" if self._aside(self.attempt) else self._read(offset - self._before)
            path = self._aside(self.attempt)  # asked second: it may have been put aside meanwhile
            if path is None:
                return chunk
            chunk = read_range(path, offset - self._before)
            if chunk or not self._goes_on:
                return chunk
            self._before, self.attempt = offset, self.attempt + 1

    def _aside(self, attempt: int) -> str | None:
        if self._directory is None:
            return None
        path = os.path.join(self._directory, stream_of_attempt(self._stream, attempt))
        return path if os.path.exists(path) else None


def put_attempt_aside(directory: Path, attempt: int) -> None:
    """Keep what an attempt has written, and remove what else is left of it, before the next one starts.

    It may be done twice: what has been put aside stays as it is.

    Raises:
        OSError: it cannot be done.
    """
    for path in (*directory.glob("claim*"), *directory.glob("outcome.*")):
        path.unlink(missing_ok=True)
    for stream in STREAMS:
        for number in range(_last_begun(directory, stream, 1), attempt + 1):
            try:
                os.rename(directory / stream, directory / stream_of_attempt(stream, number))
            except FileNotFoundError:  # it wrote nothing; that there was one is seen by who follows
                aside = directory / stream_of_attempt(stream, number)
                os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
