"""What a job knows of its own attempts, from inside: which one this is, and what it keeps."""

from __future__ import annotations

import os
from pathlib import Path

from anyjob.errors import JobError
from anyjob.execution.job_environment import job_environment


def attempt() -> int:
    """Return the number of the attempt that runs here, 1 for the first; 1, too, where no job runs."""
    number = job_environment().get("ANYJOB_ATTEMPT", "")
    return int(number) if number.isdigit() else 1


def scratch() -> Path:
    """Return a directory of the job that runs here, which all of its attempts have; made where it is missing.

    Raises:
        JobError: no job runs here, or it has no directory.
    """
    variables = job_environment()
    path = variables.get("ANYJOB_SCRATCH")
    if not path:
        spool = variables.get("ANYJOB_SPOOL")
        if not spool:
            raise JobError(
                "there is no directory to keep things in: no job runs here, or one of a backend whose jobs "
                "have none (inline, threads, processes)"
            )
        path = os.path.join(spool, SCRATCH)
    os.makedirs(path, 0o700, exist_ok=True)
    return Path(path)


SCRATCH = "scratch"
"""The name of that directory, in the job's own."""
