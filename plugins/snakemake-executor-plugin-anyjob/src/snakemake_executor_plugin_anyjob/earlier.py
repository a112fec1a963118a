"""Jobs of a Snakemake that was killed: they go on, and the next one takes them up.

Snakemake keeps the ids of jobs, for executors that ask; but the Snakemake that runs in each job writes over
them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

import anyjob
from anyjob import JobStatus

DIRECTORY_TAG = "snakemake"
"""The tag that all jobs of a workflow have: its working directory."""
OUTPUTS = "SNAKEMAKE_ANYJOB_OUTPUTS"
"""The variable of a job that tells which outputs it makes."""
UNFINISHED = (JobStatus.INITIALIZING, JobStatus.VALIDATING, JobStatus.QUEUED, JobStatus.RUNNING)
CANCEL_SECONDS = 60.0
"""How long a job that is of no use any more may take to end: two must not write the same files."""


def outputs_key(outputs: Iterable[str]) -> str:
    """Return a short text that stands for these outputs."""
    return hashlib.sha256("\0".join(sorted(outputs)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


class EarlierJobs:
    """The jobs of a working directory that have not ended, as they are when Snakemake starts."""

    def __init__(self, directory: str) -> None:
        found = anyjob.jobs(tags={DIRECTORY_TAG: directory}, state=UNFINISHED)
        self._by_outputs = {job.spec().env.get(OUTPUTS): job for job in found}

    def take_up(self, key: str, read_by_it: Iterable[str]) -> anyjob.TaskJob | None:
        """Return the job that makes these outputs already; None where there is none of use.

        Args:
            key: the outputs.
            read_by_it: files that have changed since where the job is of no use: it is cancelled.

        Raises:
            AnyjobError: what is of no use could not be ended.
        """
        job: anyjob.TaskJob | None = self._by_outputs.pop(key, None)
        if job is None or not _changed_since(read_by_it, job.metadata()["submitted"]):
            return job
        job.cancel()
        job.wait_for_final_state(CANCEL_SECONDS)
        return None


def _changed_since(paths: Iterable[str], when: float) -> bool:
    try:
        return any(os.stat(path).st_mtime > when for path in paths)
    except OSError:
        return True
