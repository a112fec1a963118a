"""The jobs of engines that others wait for: each is watched until it has ended, and the ledger has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from anyjob.builtin.local.error_log import log_error
from anyjob.session.facade import Session
from anyjob.status import JobStatus, backoff

LONGEST = 60.0
"""Seconds after which a job that cannot be watched is tried again, at most."""


class AwaitedJobs:
    """Has the backends asked about jobs, many at a time, as often as each backend allows.

    Args:
        session: whose backends they are.
        on_end: called when one has ended, by any thread.
    """

    def __init__(self, session: Session, on_end: Callable[[], object]) -> None:
        self._session = session
        self._on_end = on_end
        self._watched: dict[str, Any] = {}
        self._failed: dict[str, tuple[int, float]] = {}

    def watch(self, job_ids: Sequence[str]) -> None:
        """Watch these jobs, and no others."""
        wanted = set(job_ids)
        for gone in self._watched.keys() - wanted:
            del self._watched[gone]
        for gone in self._failed.keys() - wanted:
            del self._failed[gone]
        now = time.monotonic()
        for job_id in job_ids:
            if job_id in self._watched or self._failed.get(job_id, (0, 0.0))[1] > now:
                continue
            try:
                job = self._watched[job_id] = self._session.get_job(job_id)
                job._on_final(lambda said, job_id=job_id: self._ended(job_id, said))
            except Exception as error:  # of a plugin, or a backend that is away: the other jobs are followed
                self._cannot(job_id, error)

    def _ended(self, job_id: str, said: JobStatus | BaseException) -> None:
        if isinstance(said, BaseException):
            self._cannot(job_id, said)
        self._on_end()

    def _cannot(self, job_id: str, error: BaseException) -> None:
        failures = self._failed.get(job_id, (0, 0.0))[0] + 1
        if failures == 1:
            log_error(f"job {job_id}, which others wait for, cannot be watched: {error}")
        self._watched.pop(job_id, None)
        self._failed[job_id] = failures, time.monotonic() + backoff(failures, ceiling=LONGEST)
