"""What a session knows of a plain job: its row in the ledger, and what hooks were told of it."""

from __future__ import annotations

import weakref
from typing import Any

from anyjob import _typing as t
from anyjob.errors import StateError
from anyjob.job import BaseJob
from anyjob.ledger.rows import BackendRow
from anyjob.outcome import Outcome
from anyjob.process.reporting import report
from anyjob.status import JOB_FINAL_STATES, JobStatus

KIND = "plain"
"""What the ledger says of a job that only its own backend knows what it is."""


class LedgerEntry:
    """A plain job's row in the ledger: told of each status that is seen of the job.

    What cannot be written is reported by the logger ``anyjob``: the job itself runs.
    """

    def __init__(
        self,
        session: t.Session,
        job_id: str,
        job: BaseJob,
        backend: BackendRow,
        status: JobStatus | None = None,
        work: str = "",
    ) -> None:
        self._session = session
        self._job_id = job_id
        self._job = weakref.ref(job)
        self._backend = backend
        self._last = status
        self._work = work
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
            report("job %s is not in the ledger: %s", self._job_id, error)

    def _enter(self) -> None:
        job = self._job()
        native_id = "" if job is None else job.job_id()
        if self.entered or not native_id:
            return  # as long as the engine has given it no id, nobody can find it
        from anyjob.ledger.encoding import Context
        from anyjob.ledger.rows import NewJob, Summary

        ledger = self._session.ledger
        job_row = NewJob(self._job_id, None, summary=Summary(self._work))

        def write() -> None:
            number = ledger.backend(self._backend)
            ledger.add(number, [job_row], kind=KIND, native=KIND, context=Context((KIND,), b"{}"))
            ledger.launched({self._job_id: native_id})

        ledger.transaction(write)
        self.entered = True

    def _note(self, status: JobStatus) -> None:
        ledger = self._session.ledger
        if status in JOB_FINAL_STATES:
            effects = ledger.settle({self._job_id: Outcome(status=status)})
            if effects.ended or effects.released:
                self._session.services.advance(effects)
        elif status is not JobStatus.INITIALIZING:
            ledger.moved([(self._job_id, status, 1, None)])
        self._last = status

    @property
    def job_id(self) -> str:
        """Our id of the job."""
        return self._job_id

    def claim_end(self) -> bool:
        """Claim the telling of the end; whether no other process has."""
        return not self.entered or bool(self._session.ledger.claim_finished([self._job_id]))

    def __reduce__(self) -> Any:
        # In a copy of the job, in another process perhaps, nobody is told.
        return _nobody, ()


def _nobody() -> None:
    return None


class HookCaller:
    """Tells the hooks of each change of a job, once, and of its end."""

    def __init__(self, services: Any, job: Any) -> None:
        self._services = services
        self._job = job
        self._last: JobStatus | None = None

    def __call__(self, status: JobStatus) -> None:
        """The job was seen to be in this status."""
        if status is self._last:
            return
        old, self._last = self._last, status
        self._services.plain_changed(self._job, old, status)
        if status in JOB_FINAL_STATES:
            entry = self._job._status_observer
            if not isinstance(entry, LedgerEntry) or entry.claim_end():
                self._services.plain_finished(self._job, Outcome(status=status))
