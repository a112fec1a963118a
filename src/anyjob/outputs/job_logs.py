"""What a job wrote, attempt by attempt, wherever its engine has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import JobError
from anyjob.outputs import log_reading
from anyjob.resources import goes_again
from anyjob.spool.private_files import read_range

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
            return logs_of_attempt(record.spool, attempt, number)
        return logs_of_launches(backend.spool_root, record.job_id, before, attempt)

    return attempts_of(before, record.outcome, number, record.status, None, logs_of)


def reader(job: t.TaskJob[Any], stream: str) -> Callable[[int], bytes]:
    """Return what reads a stream from an offset on, from attempt to attempt."""
    record, backend = job._record, job._backend
    if record.kind and record.outcome is None and not backend.runs_again:
        return _reader_of_launches(job, stream)

    def read(offset: int) -> bytes:
        found: bytes = backend.logs(record.ticket(), stream, offset)
        return found

    if record.spool is None or (record.attempt == 1 and record.outcome is not None):
        return read
    if not goes_again(record.resources):
        return read
    from anyjob.outputs.attempt_files import LogReader

    return LogReader(record.spool, stream, record.attempt, read)


def _reader_of_launches(job: t.TaskJob[Any], stream: str) -> Callable[[int], bytes]:
    """Return what reads a stream at an engine that is given each attempt under an id of its own."""
    record, backend = job._record, job._backend
    ticket, before = record.ticket(), 0  # bytes of the attempts before

    def read(offset: int) -> bytes:
        nonlocal ticket, before
        found: bytes = backend.logs(ticket, stream, offset - before)
        if not found and ticket.job_id != record.attempt_id:
            ticket, before = record.ticket(), offset
            found = backend.logs(ticket, stream, 0)
        return found

    return read


def of_attempt(job: t.TaskJob[Any], stream: str, attempt: int) -> Iterator[bytes]:
    """Yield what one attempt wrote.

    Raises:
        JobError: the job has had no such attempt.
    """
    found = {each.number: each for each in job.attempts()}
    if attempt not in found:
        had = "1 attempt" if len(found) == 1 else f"{len(found)} attempts"
        raise JobError(f"job {job.job_id()} has had {had}, and no attempt {attempt}")
    path = found[attempt].logs.get(stream)
    if path is None:
        return iter(())
    return log_reading.chunks(lambda offset: read_range(path, offset), lambda: True, _do_not_pause)


def _do_not_pause(seconds: float) -> None:
    """What an attempt wrote that has ended is all there."""
