"""The files that a job leaves: where it ran, and in its own directory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from anyjob import _typing as t
from anyjob.errors import JobError

OWN = "$ANYJOB_SPOOL/"
"""What the name of a file begins with that is in the job's own directory, which this variable names there."""
CHUNK = 1 << 20
"""Bytes of a file that are read at a time."""
OURS = frozenset(
    [
        "stdout",
        "stderr",
        "stdin",
        "files",
        "inputs",
        "environment",
        "outcome",
        "payload",
        "results",
        "checkpoint",
        "progress",
        "work",
        "call",
        "claim",
        "started",
        "ended",
        "script",
        "log",
    ]
)
"""What is in the directory of a job by us, up to the first dot or dash of its name."""


class Part(NamedTuple):
    """A part of a file, and how large all of it is."""

    data: bytes
    size: int


def place(job: t.TaskJob, name: str | os.PathLike[str]) -> str:
    """Return the path of a file that a job leaves, as a backend has it that shares files with this program.

    Raises:
        JobError: the job has no directory, or that is no name of a file.
    """
    text, called = os.fspath(name), f"job {job.job_id()}"
    if not isinstance(text, str) or not text.strip("/") or "\0" in text or text == OWN:
        raise JobError(f"{name!r} is no name of a file that {called} could leave")
    if text.startswith(OWN):
        spool = job._record.spool
        if spool is None:
            raise JobError(
                f"{called} has no directory of its own, so there is no {text!r}: name a file where it runs"
            )
        return os.path.normpath(spool / text.removeprefix(OWN))
    if os.path.isabs(text):
        return text
    own = getattr(job._record.specs[-1], "cwd", None) or ""
    begins = os.path.join(job._backend.recorder.submitted_from(job.job_id()), own)
    if not begins:
        raise JobError(f"it is not known where {called} runs: give the whole path of {text!r}")
    return os.path.normpath(os.path.join(begins, text))


class LeftFiles:
    """Those of one job, of a backend that shares files with this program.

    Args:
        job: the job.
    """

    def __init__(self, job: t.TaskJob) -> None:
        self._job = job

    def names(self) -> list[str]:
        """Return those in the job's own directory, below that."""
        root = self._job._record.spool
        if root is None:
            return []
        found = []
        for directory, below, files in os.walk(root):
            if directory == os.fspath(root):
                below[:] = [name for name in below if not _is_ours(name)]
                files = [name for name in files if not _is_ours(name)]
            found += [os.path.relpath(os.path.join(directory, name), root) for name in files]
        return sorted(found)

    def read(self, name: str, offset: int) -> Part:
        """Return a part of one.

        A relative name is sought where the job ran, and then in its own directory.

        Raises:
            JobError: it is not there, or cannot be read.
        """
        tried = [place(self._job, name)]
        if not (os.path.isabs(name) or name.startswith(OWN)) and self._job._record.spool is not None:
            tried.append(place(self._job, OWN + name))
        path = next(filter(os.path.exists, tried), None)
        called = f"job {self._job.job_id()}"
        if path is None:
            yet = "" if self._job.in_final_state() else "; it has not ended yet"
            raise JobError(f"{called} has left no file {' and no file '.join(map(repr, tried))}{yet}")
        if not os.path.isfile(path):
            raise JobError(f"{path!r}, which {called} has left, is no file: name the files in it")
        try:
            with open(path, "rb", buffering=0) as stream:
                return Part(
                    os.pread(stream.fileno(), CHUNK, max(0, offset)), os.fstat(stream.fileno()).st_size
                )
        except OSError as error:
            raise JobError(f"{path!r}, which {called} has left, cannot be read: {error.strerror}") from error

    def chunks(self, name: str) -> Iterator[bytes | memoryview]:
        """Yield one in parts, at least one; the errors are those of `read`."""
        offset = 0
        while True:
            part = self.read(name, offset)
            yield part.data
            offset += len(part.data)
            if not part.data or offset >= part.size:
                return


def fetch(
    job: t.TaskJob, names: Sequence[str | os.PathLike[str]], into: Any, *, overwrite: bool
) -> list[Path]:
    """Bring files that a job has left: see `TaskJob.fetch`."""
    files = job._backend._left(job)
    own = [] if names else files.names()
    if not names and not own:
        raise JobError(
            f"job {job.job_id()} has left no files in its own directory: name those that are elsewhere"
        )
    wanted = {os.fspath(name): _below(os.fspath(name)) for name in names}
    wanted.update((OWN + name, name) for name in own)
    targets = {name: Path(into, below) for name, below in wanted.items()}
    there = [path for path in targets.values() if path.exists()]
    if there and not overwrite:
        raise JobError(
            f"{str(there[0])!r} is there already: fetch into another directory, or say to overwrite it"
        )
    for name, target in targets.items():
        _bring(files, name, target)
    return list(targets.values())


def _bring(files: LeftFiles, name: str, target: Path) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    chunks = files.chunks(name)
    first = next(chunks)  # what is not there makes no directory
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as stream:
            stream.write(first)
            stream.writelines(chunks)
        os.replace(part, target)
    except OSError as error:
        raise JobError(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _below(name: str) -> str:
    """Return where a file goes below a directory: as it is called, or by the last part of a path."""
    name = name.removeprefix(OWN)
    if os.path.isabs(name) or ".." in Path(name).parts:
        return os.path.basename(name)
    return name


def _is_ours(name: str) -> bool:
    return name.partition(".")[0].partition("-")[0] in OURS
