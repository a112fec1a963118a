"""The services that a task backend uses: where kinds of work are looked up, and events are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from anyjob.errors import JobNotFoundError, UnsupportedSpecError
from anyjob.status import JOB_FINAL_STATES, JobStatus

if TYPE_CHECKING:
    from anyjob.ledger.end_effects import EndEffects
    from anyjob.ledger.store import Ledger
    from anyjob.outcome import Outcome
    from anyjob.registry.lookup import Registry
    from anyjob.resources import Resources
    from anyjob.specs import Spec
    from anyjob.tracking.records import JobRecord


AMENDED = "anyjob.amended"
"""The note that says which plugins have changed what a job is given, a line each."""


class Admission(Struct, frozen=True):
    """What plugins have said of a job before it is submitted.

    Args:
        resources: what it is given.
        notes: what is to be kept with it.
    """

    resources: Resources
    notes: Mapping[str, str]


class Services:
    """Those of a backend that was made directly: kinds of work are known, nobody listens.

    A session puts its own in place of it.
    """

    chooses = False
    """Whether a plugin wants to choose where work runs."""

    watches = False
    """Whether somebody wants to hear of changes, so that jobs are watched without being waited for."""

    def __init__(self, registry: Registry | None = None) -> None:
        self._registry = registry
        self._job_types: dict[str, Any] = {}
        self._ledger: Ledger | None = None

    @property
    def ledger(self) -> Ledger:
        """The ledger that durable backends keep."""
        if self._ledger is None:
            from anyjob.ledger.file.statedir import default_state
            from anyjob.ledger.store import Ledger

            self._ledger = Ledger(default_state())
        return self._ledger

    def job_type(self, kind: str) -> Any:
        """Return the class of the jobs of a kind.

        Raises:
            PluginError: none is installed, or it cannot be used.
        """
        if not kind:  # of a job that anyjob did not submit
            from anyjob.taskjob import TaskJob

            return TaskJob
        found = self._job_types.get(kind)
        if found is None:
            if self._registry is None:
                from anyjob.registry.lookup import Registry

                self._registry = Registry()
            found = self._job_types[kind] = self._registry.job_type(kind)
        return found

    may_refuse = False
    """Whether a plugin is asked by `before_submit`."""

    def before_submit(self, backend: Any, job_id: str, spec: Spec, resources: Resources) -> Admission | None:
        """Told before a job is handed to the engine; may raise `Refused`, or change what it is given."""
        return None

    def choose(self, spec: Spec) -> Any:
        """Let a plugin choose the backend; None where none does."""
        return None

    def environment(self, backend: Any, job_id: str, spec: Spec) -> Mapping[str, str]:
        """Return the variables that the job gets beside its own."""
        return {}

    def pickled(self, job: Any) -> tuple[Any, ...]:
        """Return what a handle is pickled as: a function, and the arguments that make a handle of it."""
        return find_here, (job.job_id(), job.backend().name())

    def look_after_releases(self) -> None:
        """See to it that jobs which start after others are handed to their engines then, by this host.

        Raises:
            UnsupportedSpecError: nobody can be asked to.
            BackendUnavailableError: who is asked to cannot be reached.
        """
        raise UnsupportedSpecError(
            "a job that starts after others is released by a session: get the backend from one, as by "
            "`anyjob.get_backend`"
        )

    def job(self, job_id: str) -> Any:
        """Return a handle on a job of which nothing is known but its id.

        Raises:
            JobNotFoundError: it is not known, here.
        """
        return find_here(job_id, "")

    def jobs(self, backend: Any, job_ids: Iterable[str], refresh: bool = False) -> dict[str, Any]:
        """Return handles on jobs of the ledger, by id; those that are not in it are left out.

        Args:
            backend: who asks, and whose they are where no session knows of others.
            job_ids: their ids.
            refresh: have those that have not ended asked about first, so that it is known if they have.
        """
        rows = self.ledger.rows(list(job_ids))
        found = {job_id: backend.recall(row) for job_id, row in rows.items()}
        if refresh:
            for job in found.values():
                job.status()
        return found

    def jobs_meant(self, text: str) -> list[Any]:
        """Return handles on the jobs that a text means: all of that name, or the one whose id begins so.

        Raises:
            JobNotFoundError: there is none, or it is the beginning of several ids.
        """
        raise JobNotFoundError(f"no job {text!r} to start after: give a handle, or use a session")

    def advance(self, effects: EndEffects) -> None:
        """Told when the end of jobs, as it was written, has ended others, or lets them start."""

    def failure_behind(self, job_id: str, backend: Any) -> tuple[str, BaseException | None]:
        """Return what was the first to fail, where a job never started for that: its id, and its failure.

        Where it is not known, the id is empty.

        Args:
            job_id: the job.
            backend: whose it is.

        Raises:
            AnyjobError: it cannot be had any more.
        """
        before = self._broken_by(job_id, backend)
        if before is None:
            return "", None
        while before is not None:
            job_id, before = before, self._broken_by(before, backend)
        return job_id, self._failure_of(job_id)

    def _broken_by(self, job_id: str, backend: Any) -> str | None:
        """Return for whose end a job never started: nobody may have asked for that yet, but the engine."""
        ledger = self.ledger.dependencies
        found = ledger.broken_by(job_id)
        if found is None:
            unasked = [
                each.job_id for each in ledger.prerequisites(job_id) if each.status not in JOB_FINAL_STATES
            ]
            if unasked:
                self.jobs(backend, unasked, refresh=True)
                found = ledger.broken_by(job_id)
        return found

    def _failure_of(self, job_id: str) -> BaseException | None:
        """Return what the result of another job raises, which has ended; None where that is not known."""
        return None

    def submitted(self, job: Any) -> None:
        """Told when the engine has taken a job."""

    def changed(self, record: JobRecord, old: JobStatus, new: JobStatus) -> None:
        """Told once for each change of a job's status."""

    def finished(self, backend: Any, record: JobRecord, outcome: Outcome) -> None:
        """Told once when a job has ended."""


def find_here(job_id: str, backend: str) -> Any:
    """What a pickled handle becomes in a process that has the job's backend."""
    from anyjob.tracking.tracker import Tracker

    job = Tracker.find(job_id)
    if job is not None:
        return job
    raise JobNotFoundError(
        f"job {job_id} is not known in this process: backend {backend!r} is not durable, so a job of it "
        "lives in the process that submitted it, until it has ended and nobody there holds a handle on it"
    )
