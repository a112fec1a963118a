"""The files that a job has left on the machine of its backend, as they are read from here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from anyjob.errors import BackendAuthError, BackendError, BackendUnavailableError, JobError
from anyjob.outputs.left_files import LeftFiles, Part
from anyjob.remote.messages import CHUNK, Read

if TYPE_CHECKING:
    from anyjob.remote.backend import RemoteBackend
    from anyjob.taskjob import TaskJob


class FarFiles(LeftFiles):
    """The files that a job has left on the machine of its backend."""

    def __init__(self, job: TaskJob, backend: RemoteBackend) -> None:
        super().__init__(job)
        self._backend = backend

    def names(self) -> list[str]:
        """Return those in the job's own directory there."""
        found = self._backend._read_all(self._job.job_id(), "names").split(b"\0")
        return [os.fsdecode(name) for name in found if name and not _leads_out(name)]

    def read(self, name: str, offset: int) -> Part:
        """Read a part of one there."""
        backend, job_id = self._backend, self._job.job_id()
        asked = Read(backend.options.backend, job_id, "file", offset, CHUNK, os.fsencode(name))
        with _about_a_file():
            answer = backend._connection.ask("read", asked)
        return Part(answer.data, answer.total or 0)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Read one there."""
        with _about_a_file():
            yield from self._backend._parts(self._job.job_id(), "file", os.fsencode(name))


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
