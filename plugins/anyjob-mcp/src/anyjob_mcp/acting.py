"""What is done with jobs, as far as that is allowed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from anyjob import Command, Session, SpecError
from anyjob_mcp.limits import TAG, Denied, Limits
from anyjob_mcp.reading import OPEN, Reading

_TAGGED = next(f"{key}={value}" for key, value in TAG.items())


def check_durable(session: Session, names: Sequence[str]) -> None:
    """Let pass backends whose jobs do not end with this server, nor write where it writes.

    Raises:
        AnyjobError: there is no such backend, or it cannot be made.
        SpecError: its jobs end with whoever submits them.
    """
    for name in names:
        if not session.get_backend(name).capabilities.durable:
            raise SpecError(
                f"jobs of backend {name!r} end with whoever submits them, and that is this server: name one "
                "whose jobs go on, such as local"
            )


class Acting:
    """Runs and cancels jobs.

    Args:
        session: whose jobs.
        limits: what is allowed.
        reading: by which jobs are seen.
    """

    def __init__(self, session: Session, limits: Limits, reading: Reading) -> None:
        self._session, self._limits, self._reading = session, limits, reading
        self._one_at_a_time = threading.Lock()

    def run(self, command: list[str], backend: str, cwd: str, **asked: Any) -> dict[str, Any]:
        """Hand a program to a backend; return the job.

        Raises:
            Denied: that is not allowed.
            AnyjobError: the backend does not take it.
        """
        self._limits.check_writes("run")
        name = backend or self._only_backend()
        self._limits.check_backend(name)
        given = self._limits.bounded({key: value for key, value in asked.items() if value})
        with self._one_at_a_time:  # or two that come together would both find the last place free
            self._limits.check_open(
                sum(job["state"] in OPEN and _TAGGED in job["tags"].split() for job in self._reading.jobs())
            )
            job = self._session.run(Command(command, cwd=cwd or None), name, tags=TAG, **given)
        return {"job_id": job.job_id(), "backend": name, "state": job.status().name}

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Cancel a job; say whether that was accepted.

        Raises:
            Denied: that is not allowed.
            AnyjobError: there is no such job, or its backend cannot cancel.
        """
        self._limits.check_writes("cancel")
        found = self._reading.details(job_id)
        self._limits.check_own(found["tags"])
        (accepted,) = self._session.cancel([self._session.get_job(found["job_id"])])
        said = "it is being cancelled" if accepted else "not cancelled: it has ended already"
        return {"job_id": found["job_id"], "accepted": accepted, "said": said}

    def _only_backend(self) -> str:
        if len(self._limits.backends) == 1:
            return self._limits.backends[0]
        raise Denied(f"say on which backend: {', '.join(self._limits.backends)}")
