"""Keeps track of the jobs of one task backend in this process: its records, and those who wait for them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from anyjob.errors import BackendError
from anyjob.process import forks
from anyjob.process.weak_collections import living
from anyjob.status import JobStatus
from anyjob.tracking.bulk_query import BulkQuery
from anyjob.tracking.records import FinalCallback, JobRecord, JobTable
from anyjob.tracking.transitions import Transitions
from anyjob.tracking.watcher import Watcher

if TYPE_CHECKING:
    from pathlib import Path

    from anyjob.outcome import Outcome
    from anyjob.tracking.engine import Engine


class Tracker:
    """The jobs of one backend in this process."""

    _instances: weakref.WeakValueDictionary[int, Tracker] = weakref.WeakValueDictionary()

    def __init__(self, backend: Engine) -> None:
        self._backend = backend
        self._jobs = JobTable()
        self._transitions = Transitions(backend, self._jobs, self.watch)
        self._query = BulkQuery(backend, self._jobs, self._transitions, self)
        self._watcher = Watcher(backend, self._jobs, self._query, self._transitions)
        self._query.repeat = self._watcher.repeat
        Tracker._instances[id(self)] = self
        forks.in_each_process(self._make_own)

    def _make_own(self) -> None:
        if not self._backend.capabilities.durable:  # its jobs are those of the process that was forked
            self._jobs.known = weakref.WeakValueDictionary()

    @classmethod
    def find(cls, job_id: str) -> Any:
        """Return a handle on a job of any backend that is known in this process; None where it is not."""
        found = (tracker.job(job_id) for tracker in living(cls._instances).values())
        return next((job for job in found if job is not None), None)

    # --- what is known ------------------------------------------------------------------------

    def add(self, record: JobRecord) -> None:
        """Take in a new job."""
        self._jobs.add(record)

    def remove(self, record: JobRecord) -> None:
        """Forget a job that never came to be."""
        self._jobs.remove(record)

    def get_or_add(self, job_id: str, make: Callable[[], JobRecord]) -> JobRecord:
        """Return the record of a job that another process handed over, made anew where there is none."""
        return self._jobs.get_or_add(job_id, make)

    def records(self) -> list[JobRecord]:
        """Return those jobs that are not final, and those that somebody holds a handle on."""
        return self._jobs.records()

    def open_ids(self) -> list[str]:
        """Return the ids of the jobs that have not ended, as their engine knows them."""
        return [record.attempt_id for record in self._jobs.active_records()]

    def open_records(self) -> list[JobRecord]:
        """Return the records of the jobs that have not ended."""
        return self._jobs.active_records()

    def when_forgotten(self, job_id: str, call: Callable[[], object]) -> None:
        """Have ``call`` called when nobody holds a handle on a job any more."""
        record = self._jobs.known.get(self._jobs.ours(job_id))
        if record is None:
            call()
        else:
            weakref.finalize(record, forks.only_here(call)).atexit = False

    def job(self, job_id: str) -> Any:
        """Return a handle on a job that is known here; None for one that is not."""
        record = self._jobs.known.get(self._jobs.ours(job_id))
        return None if record is None else self.handle(record)

    def handle(self, record: JobRecord) -> Any:
        """Return a handle on a job."""
        return self._backend.services.job_type(record.kind)(self._backend, record.job_id, record)

    def spool(self, record: JobRecord) -> Path | None:
        """Return the directory that a job has on this side, if it has one."""
        return self._backend._spool(record)

    # --- what becomes of it -------------------------------------------------------------------

    def ask(self, record: JobRecord) -> JobStatus:
        """Return where a job is, by the next bulk question or an answer younger than the floor.

        Raises whatever the backend's ``observe`` raises, and a hook of a strict plugin.
        """
        self.check(record)
        status = self._query.status(record)
        record.raise_hook_error()
        return status

    def ask_all(self, records: Sequence[JobRecord]) -> None:
        """Have it known where jobs are as `ask` has it, by as few questions as that takes.

        Raises whatever the backend's ``observe`` raises.
        """
        for record in records:
            self.check(record)
        self._query.update(records)

    def hint(self, job_ids: Iterable[str]) -> None:
        """The engine was heard to say something of these jobs: ask about them soon, once."""
        self._watcher.hint(map(self._jobs.ours, job_ids))

    def launched(self, record: JobRecord, native_id: str) -> None:
        """The engine has taken a job; whoever has heard that notes it in the recorder, of many at a time."""
        self._transitions.launched(record, native_id)

    def unsure(self, record: JobRecord) -> None:
        """The engine has taken a job, or not: to be found out."""
        self._transitions.unsure(record)

    def ours(self, attempt_id: str) -> str:
        """Return the id of the job of an attempt, by the id that the engine knows that by."""
        return self._jobs.ours(attempt_id)

    def deferred(self, record: JobRecord) -> None:
        """A job starts after others, and is handed to the engine then, by whoever releases it."""
        record.deferred = True
        self._transitions.queued(record)

    def queued(self, record: JobRecord) -> None:
        """A job starts after others, and is held in this process until then."""
        self._transitions.queued(record)

    def submitted(self, job: Any) -> None:
        """Tell the hooks that a job was handed over."""
        self._transitions.call_hooks(job._record, self._backend.services.submitted, job)

    def end(self, record: JobRecord, outcome: Outcome) -> None:
        """Write down that a job has ended, and settle it."""
        self._transitions.end(record, outcome)

    def settle(self, record: JobRecord, outcome: Outcome) -> None:
        """The job has ended with this outcome; the first one counts, since final is final."""
        self._transitions.settle(record, outcome)

    def settle_by_id(self, job_id: str, outcome: Outcome) -> None:
        """A job has ended with this outcome, if it is known here."""
        record = self._jobs.active.get(self._jobs.ours(job_id))
        if record is not None:
            self._transitions.settle(record, outcome)

    # --- who waits for it ---------------------------------------------------------------------

    def watch(self, record: JobRecord) -> None:
        """Ask about a job until it has ended, so that callbacks and hooks are told."""
        self.check(record)
        self._watcher.watch(record)

    def check(self, record: JobRecord) -> None:
        """Have a job that is known from before this process was forked off be one of this process, too.

        Raises:
            BackendError: it cannot be: its backend is not durable.
        """
        jobs = self._jobs
        if not forks.generation or record.outcome is not None or record.job_id in jobs.active:
            return
        if self._backend.capabilities.durable:
            jobs.adopt(record)
        elif jobs.known.get(record.job_id) is not record and record.outcome is None:
            raise BackendError(
                f"job {record.job_id} is one of the process that this one was forked off from: backend "
                f"{self._backend.name()!r} is not durable, so only there is it known what becomes of the job"
            )

    def on_final(self, record: JobRecord, callback: FinalCallback) -> Callable[[], None]:
        """Have ``callback`` called once with the final status; returns what takes that back."""
        self.check(record)
        with self._jobs.lock:
            waits = record.outcome is None
            if waits:
                record.final_callbacks += (callback,)
                self._jobs.waits += 1
        if not waits:
            callback(record.take_hook_error() or record.status)
            return lambda: None
        return self._watched(record, callback)

    def on_change(self, record: JobRecord, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called at each change, and when the wait had better look by itself."""
        self.check(record)
        with self._jobs.lock:
            record.change_callbacks += (callback,)
            self._jobs.waits += 1
        return self._watched(record, callback)

    def _watched(self, record: JobRecord, callback: Any) -> Callable[[], None]:
        """Have a job watched for a callback; return what takes that back."""
        self._jobs.waits_changed()
        try:
            self._watcher.watch(record)
        except BaseException:
            self._unsubscribe(record, callback)
            raise
        return lambda: self._unsubscribe(record, callback)

    def _unsubscribe(self, record: JobRecord, callback: Any) -> None:
        with self._jobs.lock:
            before = len(record.final_callbacks) + len(record.change_callbacks)
            record.final_callbacks = _without(record.final_callbacks, callback)
            record.change_callbacks = _without(record.change_callbacks, callback)
            self._jobs.waits -= before - len(record.final_callbacks) - len(record.change_callbacks)
            if not self._has_callbacks(record) and not self._backend.services.watches:
                self._jobs.watched.pop(record.job_id, None)
        self._jobs.waits_changed()

    def tell_of_waits(self, call: Callable[[], object]) -> None:
        """Have ``call`` called whenever somebody begins to wait for a job, or has ceased to."""
        self._jobs.on_waits = call

    @property
    def has_waiting_callers(self) -> bool:
        """Whether somebody in this process waits for a job, or holds a future of one; hooks do not count."""
        return self._jobs.waits > 0

    def waits(self) -> bool:
        """Tell whether somebody waits for a job."""
        if self._backend.services.watches and self._jobs.active:
            return True
        return any(map(self._has_callbacks, self._jobs.active_records()))

    def waited_for(self, job_ids: Iterable[str]) -> list[str]:
        """Return those of these jobs of which each change, and not the end alone, is waited for."""
        active, ours = self._jobs.active, self._jobs.ours
        return [i for i in job_ids if (record := active.get(ours(i))) is not None and record.change_callbacks]

    @staticmethod
    def _has_callbacks(record: JobRecord) -> bool:
        return bool(record.final_callbacks or record.change_callbacks)

    def close(self) -> None:
        """Stop asking. Those who still wait are told."""
        self._watcher.close()


def _without(callbacks: tuple[Any, ...], callback: Any) -> tuple[Any, ...]:
    if callback not in callbacks:
        return callbacks
    at = callbacks.index(callback)
    return callbacks[:at] + callbacks[at + 1 :]
