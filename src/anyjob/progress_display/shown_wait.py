"""A wait for jobs that is shown: what has ended is counted, and what has not is looked at now and then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from anyjob.progress_display.displays import Display, display
from anyjob.progress_display.tally import Tally
from anyjob.status import JobStatus

SHARE = 0.05
"""Which part of the time is spent on showing it, at most."""


class ShownWait:
    """Shows how far some jobs are.

    Args:
        jobs: those that are waited for; what is known of them is looked at, and nobody is asked.
        shown: where; by default where this process writes.
    """

    def __init__(self, jobs: Sequence[Any], shown: Display | None = None) -> None:
        self._open = list(jobs)
        self._tally = Tally(len(self._open), time.monotonic())
        self._display = display(title_of(self._open)) if shown is None else shown
        self._next = 0.0

    @property
    def interval(self) -> float:
        """Seconds after which `tick` wants to be called, though nothing has ended."""
        return self._display.interval

    def end(self, status: JobStatus) -> None:
        """One has ended."""
        self._tally.end(status, time.monotonic())
        self.tick()

    def tick(self) -> None:
        """Show how it is now, unless that was shown just before."""
        now = time.monotonic()
        if now < self._next:
            return
        self._look()
        self._display.update(self._tally, now)
        took = time.monotonic() - now
        self._next = now + max(self._display.interval, took / SHARE)

    def _look(self) -> None:
        """Count those that run, as far as this process has heard."""
        statuses = [(job, _heard(job)) for job in self._open]
        self._open = [job for job, status in statuses if status is None or status.value not in _FINAL]
        known = [status for _, status in statuses if status is not None]
        self._tally.running = sum(status is JobStatus.RUNNING for status in known) if known else None

    def close(self) -> None:
        """Show it for the last time."""
        self._look()
        self._display.close(self._tally, time.monotonic())


_FINAL = frozenset(status.value for status in (JobStatus.DONE, JobStatus.CANCELLED, JobStatus.ERROR))


def _heard(job: Any) -> JobStatus | None:
    """Return what was heard last of a job; None of a plain one, which would have to be asked."""
    record = getattr(job, "_record", None)
    status: JobStatus | None = None if record is None else record.status
    return status


def title_of(jobs: Sequence[Any]) -> str:
    """Return what some jobs are called: their name, where they have one and it is the same."""
    names = {getattr(getattr(job, "_record", None), "name", "") for job in jobs[:1000]}
    return names.pop() or "jobs" if len(names) == 1 else "jobs"
