"""The directory of a submission: written before it is handed over, removed when its jobs have ended."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from anyjob.batch.compute_node import launcher
from anyjob.batch.dialect import Dialect
from anyjob.batch.files.journal import Journal
from anyjob.batch.files.membership import listed_jobs
from anyjob.batch.files.work import encoded, write_inputs
from anyjob.errors import StateError
from anyjob.execution.submit_directory import submit_directory
from anyjob.orders import Order
from anyjob.spool.private_files import make_private, open_new, open_private, write_new

MAX_SCANNED = 200
"""Submissions that are looked at when old ones are removed."""
MIN_AGE = 86400.0
"""Seconds before which a submission is not removed so."""


def write_submission(
    root: Path, orders: Sequence[Order], environment: bytes, dialect: Dialect, pack: int = 1
) -> Path:
    """Write all that the nodes need for these orders; returns the directory of the submission.

    It is a few files, however many jobs there are: each has its directory when it starts.

    Raises:
        StateError: it cannot be written.
    """
    submission = _new_submission(root, orders)
    try:
        make_private(submission)
        write_new(submission / "environment", environment)
        for number in range(-(-len(orders) // launcher.CLAIMS_A_DIRECTORY)):
            os.mkdir(submission / f"claims-{number}", 0o700)
        lines = [f"{dialect.first_task} {pack}\n"]
        with open_new(submission / "work") as stream:
            for order, (work, payload) in zip(
                orders, encoded(orders, submit_directory() or "", dialect), strict=True
            ):
                write_inputs(order)
                lines.append(launcher.line_of(order.job_id, stream.tell(), len(work), len(payload)))
                stream.write(work)
                stream.write(payload)
        write_new(submission / "jobs", "".join(lines).encode())
    except OSError as error:
        remove(submission)
        raise StateError(
            f"cannot write {error.filename or submission}: {error.strerror or error}; set the option `spool` "
            "to a directory that can be written, and that the compute nodes see"
        ) from error
    return submission


def _new_submission(root: Path, orders: Sequence[Order]) -> Path:
    """Return the directory of a submission: that of its first job, unless there is one that was renounced.

    Whoever wrote that was killed before the scheduler had it, as far as is known. Should it have got it late,
    nothing of it runs: that is claimed for nobody.
    """
    submission = root / "submissions" / orders[0].job_id
    return submission.with_name(os.urandom(10).hex()) if submission.exists() else submission


def recorded_id(submission: Path, dialect: Dialect) -> str | None:
    """Return the scheduler's id of a submission, as it was answered; None where that is not kept."""
    if not dialect.records_submission:
        return None
    try:
        with open_private(submission / "submitted") as stream:
            said = dialect.submitted(stream.read().decode("utf-8", "replace"))
            return said if isinstance(said, str) else None
    except OSError:
        return None


def size(submission: Path) -> int:
    """Return how many jobs a submission has; 0 where that cannot be told."""
    try:
        return (submission / "jobs").stat().st_size // launcher.LINE_SIZE
    except OSError:
        return 0


def remove(submission: Path) -> None:
    """Remove the directory of a submission whose jobs have all ended."""
    shutil.rmtree(submission, ignore_errors=True)


def remove_forgotten(root: Path, directory_of: Callable[[str], Path]) -> None:
    """Remove the submissions, of the first some, whose jobs have all been forgotten.

    Args:
        root: below what submissions are.
        directory_of: gives the directory of a job by its id.
    """
    try:
        with os.scandir(root / "submissions") as entries:
            old = [
                Path(entry.path)
                for entry in islice(entries, MAX_SCANNED)
                if entry.stat().st_mtime < time.time() - MIN_AGE
            ]
        for path in old:
            _, job_ids = listed_jobs(path)
            over = _over(path)
            if all(
                position in over and not directory_of(job_id).is_dir()
                for position, job_id in enumerate(job_ids)
            ):
                remove(path)
    except (OSError, ValueError, StateError):
        return  # it is housekeeping, and no more


def _over(submission: Path) -> set[int]:
    """Return the jobs that do not start any more: they have started, or are said not to."""
    claims = submission.glob("claims-*/*")
    noted = {number for letter, number, _ in Journal(submission).new_entries() if letter in "EXG"}
    return noted | {int(claim.name) for claim in claims if claim.name.isdecimal()}
