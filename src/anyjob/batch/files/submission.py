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
from anyjob.batch.files.claims import NOBODY, claimed_by
from anyjob.batch.files.work import NOT_AN_ARRAY, Membership, write_work
from anyjob.batch.job_arrays import tasks_of
from anyjob.errors import StateError
from anyjob.execution.submit_directory import submit_directory
from anyjob.orders import Order
from anyjob.spool.private_files import make_private, open_private, write_new

MAX_SCANNED = 200
"""Submissions that are looked at when old ones are removed."""
MIN_AGE = 86400.0
"""Seconds before which a submission is not removed so."""


def write_submission(
    root: Path, orders: Sequence[Order], environment: bytes, dialect: Dialect, pack: int = 1
) -> Path:
    """Write all that the nodes need for these orders; returns the directory of the submission.

    Raises:
        StateError: it cannot be written.
    """
    submission = _new_submission(root, orders, dialect)
    cwd = submit_directory() or ""
    ids = "".join(f"{order.job_id}\n" for order in orders)
    try:
        make_private(submission)
        write_new(submission / "environment", environment)
        write_new(submission / "jobs", f"{dialect.first_task} {pack}\n{ids}".encode())
        for position, order in enumerate(orders):
            task = NOT_AN_ARRAY if tasks_of(orders, pack) is None else position // pack
            share = min(pack, len(orders) - position // pack * pack)
            member = Membership(submission, position, task, share)
            write_work(order, member, cwd, dialect)
    except OSError as error:
        remove(submission)
        raise StateError(
            f"cannot write {error.filename or submission}: {error.strerror or error}; set the option `spool` "
            "to a directory that can be written, and that the compute nodes see"
        ) from error
    return submission


def _new_submission(root: Path, orders: Sequence[Order], dialect: Dialect) -> Path:
    """Return the directory of a submission: that of its first job, unless this is not the first of that.

    What was written of these before was renounced: whoever wrote it was killed before the scheduler had them,
    as far as is known. Should it have got it late, it is another submission, and of two copies of a job one
    runs.
    """
    for order in orders:
        if order.spool is not None and claimed_by(order.spool, dialect) == NOBODY:
            shutil.rmtree(order.spool, ignore_errors=True)
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
        return (submission / "jobs").stat().st_size // launcher.ID_LINE_SIZE
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
                entry.path
                for entry in islice(entries, MAX_SCANNED)
                if entry.stat().st_mtime < time.time() - MIN_AGE
            ]
        for path in old:
            _, *ids = Path(path, "jobs").read_text(encoding="ascii").splitlines()
            if not any(directory_of(job_id).is_dir() for job_id in ids):
                remove(Path(path))
    except (OSError, ValueError, StateError):
        return  # it is housekeeping, and no more
