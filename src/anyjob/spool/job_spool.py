"""The spool: one private directory a job, made when it starts.

It holds ``stdout``, ``stderr``, ``outcome.pkl``, the job's ``files`` and what is too large for the
ledger. Names in it are made of ids, never of what a user calls a job. Links are not followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache

from anyjob import _typing as t
from anyjob.errors import StateError
from anyjob.outcome import Outcome
from anyjob.spool.private_files import open_private, sync_directories, write_private
from anyjob.spool.reports import dump_report, load_report, parse_outcome
from anyjob.status import JobStatus
from anyjob.text.full_disk import explain

_ID = re.compile(r"[0-9a-f]{20}")
_GOING = "."
"""What the name of a directory begins with that is being removed: no job has it, or can have it, any more."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PAYLOAD = "payload.pkl"
"""The file that holds what a job is, where that is too large for the ledger."""
OUTCOME = "outcome.pkl"
"""The file that holds the report of a call."""
UNWRITTEN = "outcome.error"
"""The link that says why there is no such file."""
INPUTS = "inputs"
"""The directory of the large files that go with a job, by their hashes."""
KEPT_IN_LEDGER = 64 * 1024
"""Bytes of a value up to which it is kept in the ledger; a larger one stays in the spool."""


class InSpool(str):
    """Stands in an outcome for a value that is too large for the ledger: the file that holds it."""


@lru_cache(maxsize=16)  # it is asked for each job of many
def root(state: t.Path, configured: str | os.PathLike[str] | None) -> t.Path:
    """Return below what the jobs of a backend have their directories.

    Args:
        state: the state directory.
        configured: the backend's option ``spool``, if it has one and it is set.
    """
    if not configured:
        return state / "spool"
    from pathlib import Path

    return Path(configured).absolute()


def check_id(job_id: str) -> None:
    """See that this is an id of ours.

    Raises:
        StateError: it is none, and would be a path to somewhere else.
    """
    if not _ID.fullmatch(job_id):
        raise StateError(f"{job_id!r} is no job id: those are 20 hexadecimal digits")


def path_of(spool: t.Path, job_id: str) -> t.Path:
    """Return the directory of a job.

    Raises:
        StateError: this is no id of ours.
    """
    check_id(job_id)
    return spool / f"{job_id[:2]}/{job_id}"


def held_input(directory: t.Path, sha256: str) -> t.Path:
    """Return where a job has a large file that goes with it, in its directory."""
    return directory / INPUTS / sha256


def job_ids(spool: t.Path) -> Iterator[str]:
    """Yield the ids of the jobs that have a directory, or had one whose removal was not finished."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(spool) as groups:
        for group in groups:
            if group.is_dir(follow_symlinks=False):
                with os.scandir(group.path) as jobs:
                    for job in jobs:
                        job_id = job.name.removeprefix(_GOING)
                        if _ID.fullmatch(job_id) and job.is_dir(follow_symlinks=False):
                            yield job_id


def read_outcome(directory: t.Path) -> Outcome | None:
    """Return what the runner left in a job's directory; None where it left nothing whole.

    Raises:
        StateError: the file is somebody else's.
    """
    path = directory / OUTCOME
    try:
        with open_private(path) as stream:
            outcome = parse_outcome(stream.read())
    except OSError:
        return _unwritten(directory)
    if outcome is not None and isinstance(outcome.value, bytes) and len(outcome.value) > KEPT_IN_LEDGER:
        outcome.value = InSpool(path)
    return outcome


def _unwritten(directory: t.Path) -> Outcome | None:
    """Return what the runner says where it could not write the outcome: see `runner.leave_outcome`."""
    path = directory / UNWRITTEN
    try:
        code, _, what = os.readlink(path).partition(" ")
        if os.lstat(path).st_uid != os.geteuid():
            return None
        error = OSError(int(code), os.strerror(int(code)))
    except (OSError, ValueError, OverflowError):
        return None
    message = f"what came of the call could not be written: {explain(error)}; it was {what}"
    return Outcome(status=JobStatus.ERROR, reason="exception", message=message)


def keep_large(spool: t.Path, job_id: str, outcome: Outcome, *, durable: bool = False) -> None:
    """Keep a value that is too large for the ledger in the job's directory; the outcome names the file then.

    Raises:
        OSError: it cannot be written.
    """
    if isinstance(outcome.value, bytes) and len(outcome.value) > KEPT_IN_LEDGER:
        path = path_of(spool, job_id) / OUTCOME
        write_private(path, dump_report(outcome), durable=durable)
        if durable:
            sync_directories(path.parent, spool)
        outcome.value = InSpool(path)


def load_large(path: str) -> bytes:
    """Return the pickled value that an `InSpool` stands for.

    Raises:
        StateError: the file is gone, or somebody else's.
    """
    try:
        with open_private(path) as stream:
            value: bytes = load_report(stream)["value"]
    except OSError as error:
        raise StateError(f"the result in {path} cannot be read: {error.strerror or error}") from error
    return value


def write_payload(spool: t.Path, job_id: str, payload: bytes, *, durable: bool = False) -> None:
    """Keep a payload that is too large for the ledger in the job's directory.

    Args:
        spool: below what the jobs have their directories.
        job_id: which job.
        payload: all of it.
        durable: have it, and all directories up to the spool, reach the disk before this returns.

    Raises:
        OSError: it cannot be written, or a link is in its way.
    """
    with _open_job_directory(spool, job_id) as directory:
        mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(PAYLOAD, mode, 0o600, dir_fd=directory), "wb") as stream:
            stream.write(payload)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
    if durable:
        sync_directories(path_of(spool, job_id), spool)


def read_payload(spool: t.Path, job_id: str) -> bytes:
    """Return what `write_payload` kept.

    Raises:
        StateError: it is gone, or somebody else's.
    """
    path = path_of(spool, job_id) / PAYLOAD
    try:
        with open_private(path) as stream:
            return stream.read()
    except OSError as error:
        raise StateError(f"the work in {path} cannot be read: {error.strerror or error}") from error


def remove(spool: t.Path, job_id: str) -> None:
    """Remove a job's directory, if there is one; links in it are removed, and not followed.

    What cannot be removed, since the job took away its own right to, stays.
    """
    import shutil  # which brings all that unpacks archives

    path = path_of(spool, job_id)
    try:
        group = os.open(path.parent, _DIRECTORY)
    except OSError:
        return
    going = _GOING + path.name
    try:
        with suppress(OSError):  # a worker has it by now, for the call that it makes; or no name has room
            os.rename(path.name, going, src_dir_fd=group, dst_dir_fd=group)
        for name in (going, path.name):
            shutil.rmtree(name, ignore_errors=True, dir_fd=group)
    finally:
        os.close(group)


@contextmanager
def _open_job_directory(spool: t.Path, job_id: str) -> Iterator[int]:
    """Make a job's directory by way of what is no link; yield its descriptor."""
    path = path_of(spool, job_id)
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptors = [os.open(spool, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        for name in (path.parent.name, path.name):
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=descriptors[-1])
            descriptors.append(os.open(name, _DIRECTORY, dir_fd=descriptors[-1]))
        yield descriptors[-1]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
