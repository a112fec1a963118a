"""Makes a plain backend, one with jobs of its own making, as good a citizen as a task backend."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from anyjob.backend import BaseBackend
from anyjob.errors import StateError
from anyjob.ids import new_id
from anyjob.job import BaseJob
from anyjob.ledger.rows import BackendRow
from anyjob.specs import Outcome, Resources
from anyjob.status import JOB_FINAL_STATES, JobStatus
from anyjob.tracking.polling import follow

if TYPE_CHECKING:
    from anyjob.ledger.store import Row
    from anyjob.session.protocol import SessionProtocol

KIND = "plain"
"""What the ledger says of a job that only its own backend knows what it is."""


class Plain:
    """Takes the place of a plain backend's ``run``: runs as that does, and follows what it returns.

    Where the backend can find its jobs again, they are entered into the ledger, under an id of ours. Where
    several sessions are given one and the same backend (by a provider that keeps it), it is that of the
    last one.

    Args:
        session: the one whose hooks are told, and whose ledger is kept.
        backend: what the session was given.
        identify: tells what that is; called when it is first needed.
    """

    def __init__(self, session: SessionProtocol, backend: Any, identify: Any) -> None:
        known: Any = vars(backend).get("run")
        if isinstance(known, Plain):
            known._session = session
            return
        self._session: SessionProtocol = session
        self._backend = backend
        self._identify = identify
        self._jobs: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        self._run = backend.run
        functools.update_wrapper(self, backend.run)
        backend.run = self

    @classmethod
    def of(cls, backend: Any) -> Plain | None:
        """Return what has taken the place of a backend's ``run``."""
        run = vars(backend).get("run")
        return run if isinstance(run, Plain) else None

    @functools.cached_property
    def identity(self) -> BackendRow:
        """What this backend is, for the ledger."""
        found: BackendRow = self._identify()
        return found

    def jobs(self) -> Mapping[str, Any]:
        """Return the jobs that somebody holds a handle on, oldest first, by our ids."""
        return dict(self._jobs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as the backend does, and tell the hooks of the session.

        Raises:
            Refused: a plugin would not let it through.
        """
        services: Any = self._session.services
        services.before_submit(self._backend, "", args[0] if args else None, Resources())
        returned = self._run(*args, **kwargs)
        for job in returned if isinstance(returned, list | tuple) else (returned,):
            if isinstance(job, BaseJob):
                job_id = new_id()
                self._jobs[job_id] = job
                if self._finds_jobs():
                    job._heard = Entry(self._session, job_id, job, self.identity)
                services.submitted(job)
                self._follow(job)
        return returned

    def recall(self, row: Row) -> Any:
        """Return a handle on a job of the ledger: the one that is there, or one that the backend gives.

        Raises:
            AnyjobError: as the backend's ``retrieve_job`` does.
        """
        job = self._jobs.get(row.job_id)
        if job is None:
            job = self._jobs[row.job_id] = self._backend.retrieve_job(row.native_id)
            if job._heard is None:
                job._heard = Entry(self._session, row.job_id, job, self.identity, row.status)
                self._follow(job)
        return job

    def _finds_jobs(self) -> bool:
        return type(self._backend).retrieve_job is not BaseBackend.retrieve_job

    def _follow(self, job: Any) -> None:
        services: Any = self._session.services
        if services.watches:
            follow(job, _Followed(services, job).see)

    def __reduce__(self) -> Any:
        # A copy of the backend, in another process perhaps, has its own run, which nobody follows.
        return getattr, (self._backend, "run")


class Entry:
    """A plain job's row in the ledger: told of each status that is seen of the job.

    What cannot be written is reported by the logger ``anyjob``: the job itself runs.
    """

    def __init__(
        self,
        session: SessionProtocol,
        job_id: str,
        job: BaseJob,
        backend: BackendRow,
        status: JobStatus | None = None,
    ) -> None:
        self._session = session
        self._job_id = job_id
        self._job = weakref.ref(job)
        self._backend = backend
        self._last = status
        self.entered = status is not None
        if not self.entered:
            self._write(JobStatus.INITIALIZING)

    def __call__(self, status: JobStatus) -> None:
        """This status was seen."""
        if status is not self._last or not self.entered:
            self._write(status)

    def _write(self, status: JobStatus) -> None:
        try:
            self._enter()
            if self.entered and status is not self._last:
                self._note(status)
        except StateError as error:
            import logging

            logging.getLogger("anyjob").warning("job %s is not in the ledger: %s", self._job_id, error)

    def _enter(self) -> None:
        job = self._job()
        native_id = "" if job is None else job.job_id()
        if self.entered or not native_id:
            return  # as long as the engine has given it no id, nobody can find it
        from anyjob.ledger.store import Context, NewJob

        ledger = self._session.services.ledger

        def write() -> None:
            number = ledger.backend(self._backend)
            ledger.add(
                number, [NewJob(self._job_id, None)], kind=KIND, native=KIND, context=Context((KIND,), b"{}")
            )
            ledger.launched({self._job_id: native_id})

        ledger.transaction(write)
        self.entered = True

    def _note(self, status: JobStatus) -> None:
        ledger = self._session.services.ledger
        if status in JOB_FINAL_STATES:
            ledger.settle({self._job_id: Outcome(status=status)})
        elif status is not JobStatus.INITIALIZING:
            ledger.moved([(self._job_id, status, 1, None)])
        self._last = status

    def claim_end(self) -> bool:
        """Claim the telling of the end; whether no other process has."""
        return not self.entered or bool(self._session.services.ledger.tell([self._job_id]))

    def __reduce__(self) -> Any:
        # In a copy of the job, in another process perhaps, nobody is told.
        return _nobody, ()


def _nobody() -> None:
    return None


class _Followed:
    """Tells the hooks of each change of a job, once, and of its end."""

    def __init__(self, services: Any, job: Any) -> None:
        self._services = services
        self._job = job
        self._last: JobStatus | None = None

    def see(self, status: JobStatus) -> None:
        """The job was seen to be in this status."""
        if status is self._last:
            return
        old, self._last = self._last, status
        self._services.plain_changed(self._job, old, status)
        if status in JOB_FINAL_STATES:
            entry = self._job._heard
            if not isinstance(entry, Entry) or entry.claim_end():
                self._services.plain_finished(self._job, Outcome(status=status))
