"""What the core asks of a task backend from below, without knowing its class."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from anyjob import _typing as t

if TYPE_CHECKING:
    from pathlib import Path

    from anyjob.orders import Observation, Ticket
    from anyjob.outcome import Outcome
    from anyjob.status import JobStatus


class Listener(Protocol):
    """Whoever is told of what happens to the jobs of an engine."""

    @property
    def watches(self) -> bool:
        """Whether somebody wants to hear of changes."""

    def job_type(self, kind: str) -> Any:
        """Return the class of the jobs of a kind."""

    def submitted(self, job: Any) -> None:
        """Told when the engine has taken a job."""

    def changed(self, record: Any, old: JobStatus, new: JobStatus) -> None:
        """Told once for each change of a job's status."""

    def finished(self, backend: Any, record: Any, outcome: Outcome) -> None:
        """Told once when a job has ended."""


class Writer(Protocol):
    """Whoever writes down where jobs are."""

    def moved(self, moves: Sequence[tuple[Any, JobStatus]]) -> None:
        """Jobs are elsewhere now, and have not ended."""

    def being_handed_over(self, job_ids: Sequence[str]) -> Collection[str]:
        """Return those of these jobs that a process which lives is giving to the engine now."""

    def deferred(self, job_ids: Sequence[str]) -> Mapping[str, Any]:
        """Return what has become of jobs that start after others, and were not given to the engine then."""

    def gone_on(self, native_ids: Mapping[str, str | None]) -> Collection[str]:
        """Return those of these jobs that have ended or gone again, as others have seen: the engine may know
        no more of what it called so."""

    def launched(self, native_ids: Mapping[str, str], attempts: Mapping[str, int]) -> None:
        """The engine was found to have taken jobs; of which attempts, where those are not the first."""

    def went_back(self, record: Any) -> None:
        """The record of a job says by now that it goes again, as `settled` had it."""

    def settled(
        self, outcomes: Mapping[str, Outcome], native_ids: Mapping[str, str | None]
    ) -> Mapping[str, Outcome]:
        """Attempts of jobs have ended, which the engine knows by these ids; return the outcomes as they are
        kept, less those of jobs that go again."""


class Engine(Protocol):
    """A place that runs jobs, as their tracker sees it."""

    capabilities: t.Capabilities

    @property
    def floor(self) -> float:
        """Seconds between two questions, at least."""

    @property
    def answers_from_memory(self) -> bool:
        """Whether asking it costs nothing and never blocks."""

    @property
    def ceiling(self) -> float:
        """Seconds between two questions while jobs are waited for, at most."""

    @property
    def grace(self) -> float:
        """Seconds that a job may be unknown before it is taken for lost."""

    @property
    def services(self) -> Listener:
        """Whoever is told of what happens."""

    @property
    def recorder(self) -> Writer:
        """Whoever writes down where jobs are."""

    def name(self) -> str:
        """Return what it is called."""

    def _spool(self, record: Any) -> Path | None:
        """Return the directory that a job has on this side, if it has one."""

    def _may_launch_again(self, record: Any) -> bool:
        """Tell whether a job that cannot be found may be handed over once more."""

    def _launch_again(self, records: Sequence[Any]) -> Mapping[str, str]:
        """Hand over jobs once more that cannot be found; return the native ids of those that it takes."""

    def observe(self, tickets: Sequence[Ticket]) -> Mapping[str, Observation]:
        """Ask where jobs are."""

    def collect(self, tickets: Sequence[Ticket]) -> Mapping[str, Outcome]:
        """Return what came of jobs."""

    def find(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the native ids of those jobs that it has."""

    def renounce(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """See to it that jobs which cannot be found do not start any more; return those that have."""

    def listen(self) -> None:
        """Somebody waits for a job; called by the watcher's thread."""
