"""A job of this process that starts after others: what it needs of them, and which of them has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from anyjob.job import BaseJob
    from anyjob.tracking.records import JobRecord


class Needed(NamedTuple):
    """A job that another starts after in this process, and the code of what that has to come to."""

    job: BaseJob
    condition: int


class Dependent:
    """A job that starts after others, of which one may fail.

    Args:
        record: of the job.
    """

    def __init__(self, record: JobRecord) -> None:
        self._broken_by: BaseJob | None = None
        record.behind = self

    def broken_by(self) -> BaseJob | None:
        """Return which of them has failed, as far as is known."""
        return self._broken_by

    def is_told_wrong(self, lost: str) -> bool:
        """Tell whether an engine that has ended it for what it was to start after was wrong.

        Args:
            lost: the job whose result the engine has lost; empty: that was not why.
        """
        return False

    def awaited(self) -> list[BaseJob]:
        """Return what it starts after, and has not ended as far as is known."""
        return []

    def can_start_still(self, lost: str) -> bool:
        """Tell whether it can start, though its engine has ended it.

        Args:
            lost: the id of the job whose result it is said to have lost, if it is.
        """
        return False

    def begins_anew(self, record: JobRecord) -> tuple[Needed, ...]:
        """Return what it is to start after yet, as it can start still."""
        return ()

    def failure_behind(self, job_id: str) -> tuple[str, BaseException | None]:
        """Return what was the first to fail, for which the job never started: its id, and its failure."""
        job: Any = self.broken_by()
        while behind := getattr(getattr(job, "_record", None), "behind", None):
            before = behind.broken_by()
            if before is None:
                break
            job = before
        if job is None:
            return "", None
        return job.job_id(), job.exception(timeout=0) if hasattr(job, "exception") else None
