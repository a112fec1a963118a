"""``anyjob run --detach``: hands work over, prints its ids, and leaves."""

from __future__ import annotations

import os
from typing import Any

from anyjob.cli import exit_codes
from anyjob.cli.jobs.operations import submit
from anyjob.cli.terminal.output import write_json, write_line
from anyjob.errors import BackendError
from anyjob.specs import Spec


def require_durable(backend: Any, option: str = "--detach") -> None:
    """Refuse a backend whose jobs would end with this process.

    Raises:
        BackendError: it is one.
    """
    if not backend.capabilities.durable:
        leave = f"leave out {option}, or " if option else ""
        raise BackendError(
            f"backend {backend!s} cannot run jobs that outlive this process: {leave}choose another one, "
            "such as -b local"
        )


def detach(backend: Any, spec: Spec, resources: dict[str, Any], *, as_json: bool) -> int:
    """Hand over one piece of work, print the id of its job, and return the exit code."""
    require_durable(backend)
    os.environ.pop("ANYJOB_JOB_ID", None)  # it outlives the job that this is part of
    (job,) = submit(backend, [spec], resources)
    if as_json:
        write_json({"job_id": job.job_id(), "backend": str(backend)})
    else:
        write_line(job.job_id())
    return exit_codes.OK
