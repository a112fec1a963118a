"""What a backend keeps whose jobs live and end with its process."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from anyjob.execution.submit_directory import submit_directory
from anyjob.outcome import Outcome

if TYPE_CHECKING:
    from anyjob.status import JobStatus
    from anyjob.tracking.records import JobRecord


class Deferred(Struct, frozen=True):
    """What is known of a job that starts after others, and is handed to the engine then."""

    waits: bool = False
    """Whether it has not been handed over yet."""
    message: str = ""
    native_id: str | None = None
    attempt: int = 1
    launched_attempt: int = 1
    """The number of the attempt that the engine was given under this id."""
    outcome: Outcome | None = None


class Entered(Struct, frozen=True):
    """Which of jobs that were entered the engine is not to hear of now."""

    later: frozenset[str] = frozenset()
    """Those that start after others."""
    taken: Mapping[str, str] = {}
    """Those that were not entered, since they are to be done once and others are there: the ids of these."""
    handing: frozenset[int] = frozenset()
    """The numbers of the bulks that others know to be handed over now, until `Recorder.handed_over`."""


class Recorder:
    """What a backend keeps whose jobs live and end with its process: nothing."""

    def enter(self, records: Sequence[JobRecord]) -> Entered:
        """Jobs are about to be given to the engine."""
        return Entered()

    def handed_over(self, entered: Entered) -> None:
        """The engine has answered for all that it was to be given now, or will not."""

    def being_handed_over(self, job_ids: Sequence[str]) -> Collection[str]:
        """Return those of these jobs that a process which lives is giving to the engine now."""
        return ()

    def deferred(self, job_ids: Sequence[str]) -> Mapping[str, Deferred]:
        """Return what has become of jobs that start after others, of each of these."""
        raise AssertionError("what lives and ends with this process is deferred by nobody else")

    def gone_on(self, native_ids: Mapping[str, str | None]) -> Collection[str]:
        """Return those of these jobs that have ended or gone again, as others have seen: the engine may know
        no more of what it called so."""
        return ()

    def cancel_deferred(self, job_ids: Sequence[str]) -> Sequence[str]:
        """Cancel jobs that have not been given to the engine yet; return those of which that was accepted."""
        return ()

    def attached(self, record: JobRecord) -> str:
        """A job is to be ours that others have submitted; return the id of ours that it has from now on."""
        return record.job_id

    def entered(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of these jobs that were entered."""
        return []

    def launched(self, native_ids: Mapping[str, str], attempts: Mapping[str, int]) -> None:
        """The engine has taken jobs; of which attempts these are, where those are not the first."""

    def moved(self, moves: Sequence[tuple[JobRecord, JobStatus]]) -> None:
        """Jobs are elsewhere now, and have not ended."""

    def went_back(self, record: JobRecord) -> None:
        """The record of a job says by now that it goes again, as `settled` had it."""

    def stop_attempts(self, job_ids: Sequence[str]) -> Sequence[str]:
        """Jobs are about to be cancelled: those that may go again do not, whatever comes of them.

        Returns those that were between two attempts, and have ended by that.
        """
        return ()

    def allow_attempts(self, job_ids: Sequence[str]) -> None:
        """Those jobs could not be cancelled: they go again as before."""

    def ended_attempts(self, job_id: str) -> Sequence[tuple[int, str, Outcome]]:
        """Return of each attempt that was followed by another its number, why it was, and what came of it."""
        return ()

    def settled(
        self, outcomes: Mapping[str, Outcome], native_ids: Mapping[str, str | None]
    ) -> Mapping[str, Outcome]:
        """Attempts of jobs have ended, which the engine knows by these ids; return the outcomes as they are
        kept, less those of jobs that go again."""
        return outcomes

    def claim_finished(self, job_id: str) -> bool:
        """Claim to tell the hooks that a job has finished; return whether nobody had before."""
        return True

    def notes(self, job_id: str) -> Mapping[str, str]:
        """Return what plugins noted of a job when it was submitted."""
        return {}

    def parent(self, job_id: str) -> str:
        """Return the id of the job that has submitted one; empty where none has."""
        return ""

    def work(self, job_id: str) -> str:
        """Return in a line what a job of another process does."""
        return ""

    def submitted_from(self, job_id: str) -> str:
        """Return the directory that a job was submitted from; empty where that is not known."""
        return submit_directory() or ""

    def remove(self, job_ids: Sequence[str]) -> None:
        """Jobs never came to be."""


NO_RECORDER = Recorder()
