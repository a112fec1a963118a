"""What a backend keeps whose jobs live and end with its process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from anyjob.outcome import Outcome
from anyjob.resources import Resources

if TYPE_CHECKING:
    from anyjob.status import JobStatus
    from anyjob.tracking.records import JobRecord


class Recorder:
    """What a backend keeps whose jobs live and end with its process: nothing."""

    def enter(self, records: Sequence[JobRecord], resources: Resources) -> None:
        """Jobs are about to be given to the engine."""

    def attached(self, record: JobRecord) -> str:
        """A job is to be ours that others have submitted; return the id of ours that it has from now on."""
        return record.job_id

    def entered(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of these jobs that were entered."""
        return []

    def launched(self, native_ids: Mapping[str, str]) -> None:
        """The engine has taken jobs."""

    def moved(self, moves: Sequence[tuple[JobRecord, JobStatus]]) -> None:
        """Jobs are elsewhere now, and have not ended."""

    def settled(self, outcomes: Mapping[str, Outcome]) -> Mapping[str, Outcome]:
        """Jobs have ended; return the outcomes as they are kept."""
        return outcomes

    def claim_finished(self, job_id: str) -> bool:
        """Claim to tell the hooks that a job has finished; return whether nobody had before."""
        return True

    def notes(self, job_id: str) -> Mapping[str, str]:
        """Return what plugins noted of a job when it was submitted."""
        return {}

    def work(self, job_id: str) -> str:
        """Return in a line what a job of another process does."""
        return ""

    def remove(self, job_ids: Sequence[str]) -> None:
        """Jobs never came to be."""


NO_RECORDER = Recorder()
