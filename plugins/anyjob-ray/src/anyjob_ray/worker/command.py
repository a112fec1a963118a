"""Runs a program with the worker's own stdout and stderr: the one thing that needs anyjob in the cluster."""

from __future__ import annotations

import os
import pickle
from typing import Any

from anyjob.sdk import runner
from anyjob_ray.worker.job import Job

failure = runner.failure


def run_command(job: Job) -> dict[str, Any]:
    """Run the program of a job, and return what came of it."""
    try:
        from anyjob.sdk import run_program

        spec = pickle.loads(job.work[0])
    except ImportError as error:
        return failure(error)
    import tempfile
    from pathlib import Path

    cwd = job.cwd if job.cwd is not None and os.path.isdir(job.cwd) else None
    with (
        tempfile.TemporaryDirectory(prefix="anyjob-") as directory,
        open(os.dup(1), "wb") as stdout,
        open(os.dup(2), "wb") as stderr,
    ):
        grace = job.context.grace / 2
        outcome = run_program(spec, {}, Path(directory), stdout=stdout, stderr=stderr, cwd=cwd, grace=grace)
    return _as_mapping(outcome)


def _as_mapping(outcome: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {name: getattr(outcome, name) for name in outcome.__struct_fields__}
    fields["status"] = outcome.status.name
    fields["peak_memory"] = None  # a child of a large process is said to have had as much as that
    return fields
