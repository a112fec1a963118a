"""The functions that the Ray tasks call: one job, or a batch of them."""

from __future__ import annotations

import pickle
import sys
from typing import Any

from anyjob_ray.worker.batch import Batch
from anyjob_ray.worker.job import Job
from anyjob_ray.worker.job_runner import JobRunner
from anyjob_ray.worker.journal import Journal, journal_path


def run_job(payload: bytes, *buffers: Any) -> Any:
    """Run one job.

    Args:
        payload: the pickled tuple that `anyjob_ray.payload` makes.
        buffers: the large parts of its arguments, where they lie in the object store.

    Returns:
        What came of it, pickled; or a tuple of that and of the large parts of the value.
    """
    return _job_runner().run(Job(pickle.loads(payload), buffers))


def run_batch(batch_id: str, jobs: list[tuple[str, bytes]]) -> Any:
    """Run jobs one after the other.

    Args:
        batch_id: ours.
        jobs: the id of each, and its payload.

    Returns:
        A pickled `anyjob_ray.worker.batch.BatchResult`; or a tuple of what `run_job` returns for the last of
        them, whose value is large, and of that.
    """
    journal = Journal(journal_path(batch_id)) if len(jobs) > 1 else None
    return _job_runner().run_batch(Batch(batch_id, jobs, journal))


def _job_runner() -> JobRunner:
    """Return the one of this process: what is pickled by value has no module to keep it."""
    runner: JobRunner | None = sys.__dict__.get("_anyjob_ray_job_runner")
    if runner is None:
        runner = sys.__dict__["_anyjob_ray_job_runner"] = JobRunner()
    return runner
