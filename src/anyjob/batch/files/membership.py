"""Which submission a job is of, as it stands in the list ``jobs`` of that, and what of that is the job's."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from anyjob.batch.compute_node import launcher
from anyjob.batch.dialect import Dialect
from anyjob.errors import StateError
from anyjob.spool.private_files import open_private

NOT_AN_ARRAY = -1
"""The number of a job that is no task of an array."""


class Membership(NamedTuple):
    """Which submission a job is of.

    Args:
        submission: its directory.
        position: where the job is in the list of the submission, from 0.
        task: the task of the array that it runs in, from 0; `NOT_AN_ARRAY` where it is none.
        pack: how many jobs that task runs.
    """

    submission: Path
    position: int
    task: int
    pack: int

    def native_id(self, dialect: Dialect, job: str) -> str:
        """Return the scheduler's id of the job, given that of the submission."""
        return dialect.id_of(job, None if self.task == NOT_AN_ARRAY else dialect.first_task + self.task)

    @property
    def log(self) -> Path:
        """What was said before the work started."""
        return self.submission / f"log-{max(self.task, 0)}"

    @property
    def claim(self) -> Path:
        """What says who has claimed the job, once somebody has."""
        return Path(launcher.claim_path(os.fspath(self.submission), self.position))


def listed_jobs(submission: Path) -> tuple[int, list[str]]:
    """Return how many jobs a task of a submission runs, and the ids of all; none where there is no list."""
    try:
        with open_private(submission / "jobs") as stream:
            _, pack = map(int, stream.readline().split())
            return pack, [line[:20].decode("ascii") for line in stream if len(line) == launcher.LINE_SIZE]
    except (OSError, ValueError, StateError):
        return 1, []


def members(submission: Path, wanted: Collection[str]) -> list[tuple[str, Membership]]:
    """Return which of these jobs a submission has, and where."""
    pack, job_ids = listed_jobs(submission)
    tasks = -(-len(job_ids) // pack)
    return [
        (
            job_id,
            Membership(
                submission,
                position,
                NOT_AN_ARRAY if tasks == 1 else position // pack,
                min(pack, len(job_ids) - position // pack * pack),
            ),
        )
        for position, job_id in enumerate(job_ids)
        if job_id in wanted
    ]
