"""What a job wrote, attempt by attempt, wherever its engine has it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import JobError
from anyjob.resources import goes_again
from anyjob.spool.private_files import read_range
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.outcome import Attempt


def attempts(job: t.TaskJob[Any]) -> list[Attempt]:
    """Return the attempts of a job, the first of them first; the last is as it was heard last.

    Raises:
        StateError: the ledger cannot be read.
    """
    from anyjob.outputs.attempt_files import attempts_of, logs_of_attempt, logs_of_launches

    record, backend = job._record, job._backend
    number = record.attempt
    before = backend.ended_attempts(record.job_id)

    def logs_of(attempt: int) -> dict[str, str]:
        if backend.runs_again or not backend.capabilities.durable:
            return logs_of_attempt(record.spool, attempt)
        return logs_of_launches(backend.spool_root, record.job_id, before, attempt)

    status = record.status
    if before and before[-1][0] >= number and record.outcome is None:  # nothing was heard of the next one yet
        number, status = before[-1][0] + 1, JobStatus.QUEUED
    return attempts_of(before, record.outcome, number, status, None, logs_of)


def reader(
    job: t.TaskJob[Any], stream: str, follow: bool = False, attempt: int | None = None
) -> Callable[[int], bytes]:
    """Return what reads a stream from an offset on.

    Args:
        job: whose stream it is.
        stream: ``stdout`` or ``stderr``.
        follow: whether what comes later is wanted, too: then it reads from attempt to attempt.
        attempt: the number of an attempt; by default, of the one that is under way. With ``follow``, of the
            one that it begins with.

    Raises:
        JobError: the job has had no such attempt; of what is returned: it has ended before that.
    """
    record = job._record
    if attempt is not None and record.outcome is None and not _has_begun(job, attempt):
        job.status()  # it may have begun since
    last = record.attempt
    if attempt not in (None, last):
        comes_to_it = record.outcome is None or attempt < last
        if attempt < 1 or not (follow and comes_to_it):
            return _reader_of_attempt(job, stream, attempt)
    if attempt is None or (follow and _has_begun(job, attempt)):
        return _reader_from(job, stream, attempt)
    return _reader_of_coming(job, stream, attempt) if follow else _reader_of_last(job, stream, attempt)


def _has_begun(job: t.TaskJob[Any], attempt: int) -> bool:
    """Tell whether its engine has been given an attempt, or a later one."""
    last: int = job._record.attempt
    return attempt < last or (attempt == last and not job._record.deferred)


def _reader_of_coming(job: t.TaskJob[Any], stream: str, first: int) -> Callable[[int], bytes]:
    read: Callable[[int], bytes] | None = None

    def read_then(offset: int) -> bytes:
        nonlocal read
        ended = job._record.outcome is not None  # asked first: the last attempt is known by then
        if read is None and _has_begun(job, first):
            read = _reader_from(job, stream, first)
        if read is None and ended:
            raise _no_attempt(job, job._record.attempt, first)
        return b"" if read is None else read(offset)

    return read_then


def _reader_from(job: t.TaskJob[Any], stream: str, first: int | None) -> Callable[[int], bytes]:
    record, backend = job._record, job._backend
    if record.is_ours and not backend.runs_again and (record.outcome is None or first is not None):
        return _ReaderOfLaunches(job, stream, first)

    def read(offset: int) -> bytes:
        found: bytes = backend.logs(record.ticket(), stream, offset)
        return found

    if backend.has_attempt_logs and goes_again(record.resources):
        return _ReaderOfAttempts(job, stream, first or record.attempt)
    if record.spool is None or (record.attempt == 1 and record.outcome is not None):
        return read
    if not goes_again(record.resources):
        return read
    from anyjob.outputs.attempt_files import LogReader

    return LogReader(record.spool, stream, first or record.attempt, read, first)


def _reader_of_last(job: t.TaskJob[Any], stream: str, attempt: int) -> Callable[[int], bytes]:
    """Return what reads the last attempt alone, though another follows it meanwhile."""
    record, backend = job._record, job._backend
    ticket = record.ticket()
    if not _has_begun(job, attempt):
        return lambda offset: b""
    if record.attempt != attempt:  # asked last: else the ticket is that of this attempt
        return _reader_of_attempt(job, stream, attempt)
    if backend.has_attempt_logs and goes_again(record.resources):
        return lambda offset: backend.attempt_logs(ticket, stream, attempt, offset)

    def read(offset: int) -> bytes:
        found: bytes = backend.logs(ticket, stream, offset)
        return found

    if record.spool is None or not goes_again(record.resources):
        return read
    from anyjob.outputs.attempt_files import LogReader

    lowest = record.launched_attempt
    return LogReader(ticket.spool, stream, attempt, read, attempt, lowest=lowest, goes_on=False)


class _ReaderOfLaunches:
    """Reads a stream at an engine that is given each attempt under an id of its own; see `reader`."""

    def __init__(self, job: t.TaskJob[Any], stream: str, first: int | None) -> None:
        self._job, self._stream = job, stream
        self._before = 0  # bytes of the attempts before
        self._go_on(first)

    def _go_on(self, first: int | None) -> None:
        """Read on from this attempt: the files of those that have ended, then what was given last."""
        from anyjob.outputs.attempt_files import LogReader

        record, backend, stream = self._job._record, self._job._backend, self._stream
        self._ticket, launched = record.ticket(), record.launched_attempt
        known = self._job.attempts() if first is not None and first < launched else []
        self._ended = [
            each.logs[stream]
            for each in known
            if first is not None and first <= each.number < launched and stream in each.logs
        ]
        ticket, begin = self._ticket, None if first is None else max(first, launched)

        def read(offset: int) -> bytes:
            found: bytes = backend.logs(ticket, stream, offset)
            return found

        self._reader = LogReader(
            ticket.spool, stream, begin or max(record.attempt, launched), read, begin, lowest=launched
        )

    def __call__(self, offset: int) -> bytes:
        """Return what there is from an offset on; nothing: no more now."""
        while self._ended:
            chunk = read_range(self._ended[0], offset - self._before)
            if chunk:
                return chunk
            del self._ended[0]
            self._before = offset
        is_over = self._ticket.job_id != self._job._record.attempt_id  # asked first: then all of it is there
        found = self._reader(offset - self._before)
        if not found and is_over:
            self._before = offset
            self._go_on(self._reader.attempt + 1)
            return self(offset)
        return found


class _ReaderOfAttempts:
    """Reads a stream at an engine that runs jobs again by itself, and has what each attempt wrote."""

    def __init__(self, job: t.TaskJob[Any], stream: str, attempt: int) -> None:
        self._job, self._stream, self._attempt = job, stream, attempt
        self._before = 0  # bytes of the attempts before

    def __call__(self, offset: int) -> bytes:
        """Return what there is from an offset on; nothing: no more now."""
        record, backend = self._job._record, self._job._backend
        while True:
            is_over = record.attempt > self._attempt  # asked first: then all that it wrote is there
            found: bytes = backend.attempt_logs(
                record.ticket(), self._stream, self._attempt, offset - self._before
            )
            if found or not is_over:
                return found
            self._before, self._attempt = offset, self._attempt + 1


def _reader_of_attempt(job: t.TaskJob[Any], stream: str, attempt: int) -> Callable[[int], bytes]:
    found = {each.number: each for each in job.attempts()}
    if attempt not in found:
        raise _no_attempt(job, len(found), attempt)
    path, record = found[attempt].logs.get(stream), job._record
    if path is None:
        return lambda offset: job._backend.attempt_logs(record.ticket(), stream, attempt, offset)
    from anyjob.outputs.attempt_files import LogReader

    directory = os.path.dirname(path)
    lies = os.path.join(directory, stream)  # until the next one begins
    return LogReader(
        directory, stream, attempt, partial(read_range, lies), attempt, lowest=attempt, goes_on=False
    )


def _no_attempt(job: t.TaskJob[Any], count: int, attempt: int) -> JobError:
    had = "1 attempt" if count == 1 else f"{count} attempts"
    return JobError(f"job {job.job_id()} has had {had}, and no attempt {attempt}")
