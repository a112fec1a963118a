"""The files that a job has left on the machine of its backend, as they are read from here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from anyjob import _typing as t
from anyjob.errors import AnyjobError, BackendAuthError, BackendError, BackendUnavailableError, JobError
from anyjob.outputs.left_files import LeftFiles, Part
from anyjob.remote.messages import CHUNK, Read
from anyjob.remote.near.connection import Connection


class FarFiles(LeftFiles):
    """The files that a job has left on the machine of its backend.

    Args:
        job: the job.
        connection: to that machine.
        there: what its backend is called there.
    """

    def __init__(self, job: t.TaskJob, connection: Connection, there: str) -> None:
        super().__init__(job)
        self._connection, self._there = connection, there

    def names(self) -> list[str]:
        """Return those in the job's own directory there."""
        found = b"".join(parts(self._connection, self._there, self._job.job_id(), "names")).split(b"\0")
        return [os.fsdecode(name) for name in found if name and not _leads_out(name)]

    def read(self, name: str, offset: int) -> Part:
        """Read a part of one there."""
        asked = Read(self._there, self._job.job_id(), "file", offset, CHUNK, os.fsencode(name))
        with _about_a_file():
            answer = self._connection.ask("read", asked)
        return Part(bytes(answer.data), answer.total or 0)

    def chunks(self, name: str) -> Iterator[bytes | memoryview]:
        """Read one there."""
        with _about_a_file():
            yield from parts(self._connection, self._there, self._job.job_id(), "file", os.fsencode(name))


def parts(
    connection: Connection, there: str, job_id: str, what: str, name: bytes = b""
) -> Iterator[memoryview]:
    """Yield what a job has left in parts, of which some are on their way at a time.

    Args:
        connection: to the machine.
        there: what the backend is called there.
        job_id: whose it is.
        what: as `Read` has it.
        name: of the file, if it is one.

    Raises:
        JobError: it has become shorter meanwhile.
    """

    def request(offset: int) -> Read:
        return Read(there, job_id, what, offset, CHUNK, name)

    first = connection.ask("read", request(0))
    yield first.data
    offsets = range(len(first.data), (first.total or 0) if first.data else 0, CHUNK)
    for asked, answer in connection.pipelined("read", map(request, offsets)):
        if isinstance(answer, AnyjobError):
            raise answer
        yield answer.data
        if len(answer.data) < CHUNK and asked.offset != offsets[-1]:
            raise JobError(f"{name!r} of job {job_id} has become shorter while it was read")


@contextmanager
def _about_a_file() -> Iterator[None]:
    """Raise as `JobError` what is not about the other machine."""
    try:
        yield
    except (BackendUnavailableError, BackendAuthError):
        raise
    except BackendError as error:
        raise JobError(str(error)) from error


def _leads_out(name: bytes) -> bool:
    """Tell whether a name, as the other machine gives it, is not that of a file below a directory."""
    return name.startswith(b"/") or b".." in name.split(b"/")
