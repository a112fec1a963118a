"""What a program wrote, and what came of one that succeeded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Protocol

from anyjob import _typing as t


class LoggedJob(Protocol):
    """A job that keeps logs, such as `anyjob.TaskJob`."""

    def job_id(self) -> str: ...  # noqa: D102
    def logs(self, stream: str) -> Iterator[str]: ...  # noqa: D102
    def log_bytes(self, stream: str) -> Iterator[bytes]: ...  # noqa: D102


class Output:
    """What a program wrote to stdout or stderr, read only when asked for.

    Args:
        job: who wrote it.
        stream: ``stdout`` or ``stderr``.
        spool: the directory of the job; None where there is none on this side.

    Attributes:
        path: the file that holds it; None where there is none on this side. With a backend that is not
            durable it is there as long as somebody holds a handle on the job. Batch schedulers leave no file
            of an empty ``stderr``.
    """

    def __init__(self, job: LoggedJob, stream: str, spool: str | os.PathLike[str] | None) -> None:
        self._job = job
        self._stream = stream
        self.path: t.Path | None = None
        if spool is not None:
            from pathlib import Path  # of no use to a call, and five modules more

            self.path = Path(spool) / stream

    def __iter__(self) -> Iterator[str]:
        """Yield it line by line: for what is too large to be held."""
        return self._job.logs(self._stream)

    def bytes(self) -> bytes:
        """Return all of it."""
        return b"".join(self._job.log_bytes(self._stream))

    def text(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        """Return all of it as text."""
        return self.bytes().decode(encoding, errors)

    def tail(self, characters: int) -> str:
        """Return the end of it."""
        end = b""
        for chunk in self._job.log_bytes(self._stream):
            end = (end + chunk)[-4 * characters :]
        return end.decode("utf-8", "replace")[-characters:]

    def __reduce__(self) -> Any:
        """Pickle what was written, where the job lives in this process alone; else the job is found again."""
        backend = getattr(self._job, "backend", None)
        if backend is not None and not backend().capabilities.durable:
            return BytesOutput, (self.bytes(),)
        return Output, (self._job, self._stream, self.path and self.path.parent)

    def __repr__(self) -> str:
        return f"<{self._stream} of job {self._job.job_id()}>"


class BytesOutput:
    """What a program wrote, where it came back as bytes; see `Output`."""

    path = None

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[str]:
        yield from self.text().splitlines(keepends=True)

    def bytes(self) -> bytes:
        """Return all of it."""
        return self._data

    def text(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        """Return all of it as text."""
        return self._data.decode(encoding, errors)

    def tail(self, characters: int) -> str:
        """Return the end of it."""
        return self.text()[-characters:]


class CommandResult:
    """What came of a program that ended with exit code 0."""

    def __init__(
        self, exit_code: int, stdout: Output | BytesOutput, stderr: Output | BytesOutput, outcome: t.Outcome
    ) -> None:
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr
        self.outcome = outcome

    def __repr__(self) -> str:
        return f"CommandResult(exit_code={self.exit_code}, stdout={self.stdout!r}, stderr={self.stderr!r})"
