"""How the jobs of a task backend change state: what is taken in, and who is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from anyjob.orders import Observation
from anyjob.outcome import Outcome
from anyjob.process.reporting import report
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.tracking.engine import Engine
    from anyjob.tracking.records import JobRecord, JobTable

_QUEUED = Observation(JobStatus.QUEUED)


class Transitions:
    """Takes in each change once, and tells the job's callbacks and the hooks of it.

    Args:
        backend: whose jobs they are.
        jobs: the records of these.
        watch: has a job watched.
    """

    def __init__(self, backend: Engine, jobs: JobTable, watch: Callable[[JobRecord], None]) -> None:
        self._backend = backend
        self._jobs = jobs
        self._watch = watch

    def observed(self, record: JobRecord, status: JobStatus, seen: Observation) -> JobStatus | None:
        """Take in where a job that has not ended is; return where it was, if that is somewhere else."""
        with self._jobs.lock:
            if record.outcome is not None:
                return None  # final is final
            record.message, record.queue_position = seen.message, seen.queue_position
            if seen.cost is not None:
                record.cost, record.currency = seen.cost, seen.currency
            old = record.status
            # Only a new attempt takes a job from RUNNING back.
            if seen.attempt <= record.attempt and (old is status or old is JobStatus.RUNNING):
                return None
            record.status = status
            record.attempt = max(record.attempt, seen.attempt)
        return old

    def notify(self, record: JobRecord, old: JobStatus, status: JobStatus) -> None:
        """Tell those who want to know that a job is not where it was."""
        for callback in record.change_callbacks:
            callback()
        if self._backend.services.watches and status is not old:
            self.call_hooks(record, self._backend.services.changed, record, old, status)

    @staticmethod
    def call_hooks(record: JobRecord, call: Callable[..., None], *arguments: object) -> None:
        """Have hooks called. What those of a strict plugin raise changes nothing of the job: it is reported,
        and raised by whatever is next asked about that."""
        try:
            call(*arguments)
        except Exception as error:  # of a hook: the job goes on, and who waits is told
            report("%s", error, logger="anyjob.plugins", level="error", error=error)
            record.hook_error = record.hook_error or error

    def launched(self, record: JobRecord, native_id: str) -> None:
        """The engine has taken a job; whoever has heard that notes it in the recorder, of many at a time."""
        record.asked_at = record.heard_at = time.monotonic()  # to have taken it is an answer
        record.native_id = native_id
        if record.launched_attempt > 1:
            self._jobs.of_attempts[record.attempt_id] = record
        if record.status is JobStatus.INITIALIZING:
            old = self.observed(record, JobStatus.QUEUED, _QUEUED)
            if old is not None:
                self.notify(record, old, JobStatus.QUEUED)
        if self._backend.services.watches:
            self._watch(record)

    def queued(self, record: JobRecord) -> None:
        """A job waits for others: it is queued, though the engine does not know of it."""
        old = self.observed(record, JobStatus.QUEUED, _QUEUED)
        if old is not None:
            self.notify(record, old, JobStatus.QUEUED)
        if self._backend.services.watches:
            self._watch(record)

    def goes_again(self, record: JobRecord, attempt: int) -> None:
        """An attempt of a job has ended, and there is another one, which somebody hands to the engine."""
        record.deferred, record.native_id = True, None
        record.unsure, record.missing_since = False, None
        old = self.observed(record, JobStatus.QUEUED, Observation(JobStatus.QUEUED, attempt=attempt))
        self._backend.recorder.went_back(record)
        if old is not None:
            self.notify(record, old, JobStatus.QUEUED)

    def unsure(self, record: JobRecord) -> None:
        """The engine has taken a job, or not: to be found out."""
        if not self._backend.capabilities.find:
            self.not_found(record)
            return
        record.missing_since = time.monotonic()
        record.unsure = True
        if self._backend.services.watches:
            self._watch(record)

    def not_found(self, record: JobRecord) -> None:
        """Nobody can tell whether the engine has taken a job: it is lost."""
        from anyjob.tracking import lost_jobs

        record.unsure = False
        self.end(record, lost_jobs.never_found(self._backend, record))

    def end(self, record: JobRecord, outcome: Outcome) -> None:
        """Write down that a job has ended, and settle it."""
        kept = self._backend.recorder.settled({record.job_id: outcome}, {record.job_id: record.native_id})
        if record.job_id in kept:
            self.settle(record, kept[record.job_id])
        else:
            self.goes_again(record, outcome.attempt + 1)

    def settle(self, record: JobRecord, outcome: Outcome) -> None:
        """The job has ended with this outcome; the first one counts, since final is final."""
        jobs = self._jobs
        with jobs.lock:
            if record.outcome is not None:
                return
            old = record.status
            final_callbacks = record.settle(outcome)
            jobs.waits -= len(final_callbacks)
            jobs.active.pop(record.job_id, None)
            jobs.watched.pop(record.job_id, None)
        if final_callbacks:
            jobs.waits_changed()
        for changed in record.change_callbacks:
            changed()
        services = self._backend.services
        try:
            if services.watches:
                self.call_hooks(record, services.changed, record, old, outcome.status)
                self.call_hooks(record, services.finished, self._backend, record, outcome)
        finally:  # Ctrl-C in a hook keeps nobody waiting
            said = (record.take_hook_error() if final_callbacks else None) or outcome.status
            for final in final_callbacks:
                final(said)

    def fail_waits(self, records: Iterable[JobRecord], error: BaseException) -> None:
        """Jobs cannot be asked about: leave them as they are, and tell those who wait for them."""
        for record in records:
            with self._jobs.lock:
                self._jobs.watched.pop(record.job_id, None)
                final_callbacks, record.final_callbacks = record.final_callbacks, ()
                self._jobs.waits -= len(final_callbacks)
            self._jobs.waits_changed()
            for changed in record.change_callbacks:
                changed()
            for final in final_callbacks:
                final(error)
