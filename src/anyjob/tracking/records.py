"""The records of the jobs of one task backend that are known in this process."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from anyjob import _typing as t
from anyjob.errors import JobError
from anyjob.orders import Ticket
from anyjob.outcome import Outcome
from anyjob.process.forks import in_each_process
from anyjob.process.weak_collections import living
from anyjob.resources import Resources
from anyjob.specs import Spec, kind_of
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from pathlib import Path


_NOTHING: Mapping[str, Any] = {}
_NONE: frozenset[str] = frozenset()
FinalCallback = Callable[[JobStatus | BaseException], None]
NEVER = float("-inf")


class JobRecord:
    """What is known of one job, shared by all handles on it in this process."""

    __slots__ = (
        "__weakref__",
        "_resources",
        "_specs",
        "_spool",
        "after",
        "asked_at",
        "attempt",
        "behind",
        "change_callbacks",
        "collecting",
        "cost",
        "currency",
        "deferred",
        "final_callbacks",
        "heard_at",
        "held",
        "hook_error",
        "is_ours",
        "job_id",
        "kept",
        "kind",
        "launched_attempt",
        "load",
        "message",
        "missing_since",
        "name",
        "native",
        "native_id",
        "notes",
        "once",
        "outcome",
        "parameters",
        "parent",
        "queue_position",
        "rerun_of",
        "status",
        "submitted",
        "tracker",
        "unsure",
        "unused",
    )

    def __init__(
        self,
        tracker: t.Tracker,
        job_id: str,
        kind: str,
        native: str,
        load: Callable[[], tuple[tuple[Spec, ...], Resources]],
        submitted: float | None = None,
    ) -> None:
        self.tracker = tracker
        self.job_id = job_id
        self.kind = kind
        self.native = native
        self.name = ""
        self.load = load
        self._specs: tuple[Spec, ...] = ()
        self._resources: Resources | None = None
        self.is_ours = True  # anyjob has submitted it, so that its work is known
        self.native_id: str | None = None
        self.notes: Mapping[str, str] | None = None  # to be read, where it was handed over elsewhere
        self.parent: str | None = None  # that has submitted it; to be read, as `notes`
        self.rerun_of: str | None = None
        self.parameters: Mapping[str, Any] = _NOTHING  # of a job file
        self.once: Any = None  # of one that is about to be handed over: under which key, to be done once
        self.after: tuple[Any, ...] = ()  # of one that is about to be handed over: what it starts after
        self.status = JobStatus.INITIALIZING
        self.outcome: Outcome | None = None
        self.message = ""
        self.queue_position: int | None = None
        self.cost: float | None = None
        self.currency = ""
        self.attempt = 1
        self.launched_attempt = 1  # the number of the one that the engine was given, and may have begun anew
        self.submitted = time.time() if submitted is None else submitted
        self.asked_at = NEVER
        self.heard_at = time.monotonic()  # when that was the status, as far as is known
        self.missing_since: float | None = None  # when the engine first did not know of it
        self.collecting = False
        self.unsure = False
        self.held: Any = None  # by what it is held in this process, as it starts after others
        self.behind: Any = None  # what tells which of these has failed
        self.kept: Mapping[str, Any] = _NOTHING  # of one that is about to be handed over: see `Order`
        self.unused: frozenset[str] = _NONE  # likewise
        self.deferred = False  # it starts after others, and is handed to the engine then
        self._spool: Path | None = None
        self.final_callbacks: tuple[FinalCallback, ...] = ()
        self.change_callbacks: tuple[Callable[[], None], ...] = ()
        self.hook_error: Exception | None = None  # of a strict plugin, and not raised yet

    @classmethod
    def new(
        cls,
        tracker: t.Tracker,
        job_id: str,
        specs: tuple[Spec, ...],
        resources: Resources,
        submitted: float | None = None,
    ) -> JobRecord:
        """Make the record of a job that is about to be handed over."""
        record = cls(tracker, job_id, kind_of(specs[0]), kind_of(specs[-1]), _known_here, submitted)
        record._specs, record._resources = specs, resources
        record.name = resources.name
        return record

    @property
    def attempt_id(self) -> str:
        """The id that the engine knows it by, which is another one when it is handed over once more."""
        if self.launched_attempt == 1:
            return self.job_id
        from anyjob.outputs.attempt_files import attempt_id

        return attempt_id(self.job_id, self.launched_attempt)

    def begins(self, attempt: int, launched: int) -> None:
        """Take in which attempt is next, or runs, and which the engine was, or is, given."""
        self.attempt = attempt
        if launched != self.launched_attempt:
            self.launched_attempt, self._spool = launched, None  # each has a directory of its own

    @property
    def is_loaded(self) -> bool:
        """Whether the work is at hand, so that to ask for it reads nothing."""
        return bool(self._specs)

    @property
    def specs(self) -> tuple[Spec, ...]:
        """The work as it was handed over, and all that it was rewritten as; the last one is native.

        Raises:
            JobError: others have submitted it.
        """
        found = self._specs or self._load()[0]
        if not found:
            raise JobError("anyjob did not submit this job: what it was handed is not known")
        return found

    @property
    def resources(self) -> Resources:
        """What the job needs and what it is called."""
        return self._resources or self._load()[1]

    def give(self, resources: Resources) -> None:
        """Have other resources take the place of those that were asked for, before it is handed over."""
        self._resources = resources
        self.name = resources.name

    def _load(self) -> tuple[tuple[Spec, ...], Resources]:
        self._specs, self._resources = specs, resources = self.load()
        return specs, resources

    @property
    def spool(self) -> Path | None:
        """The job's directory on this side, if it has one; what others have submitted has none."""
        if self._spool is not None or not self.is_ours:
            return self._spool
        spool = self.tracker.spool(self)
        if self.outcome is None:  # else few will ask, and many such records may be held
            self._spool = spool
        return spool

    def settle(self, outcome: Outcome) -> tuple[FinalCallback, ...]:
        """Take in what came of the job; return whom to tell of it."""
        self.outcome = outcome
        self.status = outcome.status
        self.message = outcome.message
        self.queue_position = None
        self.attempt = outcome.attempt
        if outcome.reason != "dependency":
            self.behind = None
        self._spool = None
        callbacks, self.final_callbacks = self.final_callbacks, ()
        return callbacks

    def status_in_words(self) -> str:
        """Return the status as it was last heard, and when that was: nobody is asked."""
        if self.outcome is not None:
            return self.status.name
        if self.heard_at == NEVER:
            return f"{self.status.name} when last looked at"
        ago = time.monotonic() - self.heard_at
        return self.status.name + (f" {ago:.0f} s ago" if ago >= 1 else "")

    def take_hook_error(self) -> Exception | None:
        """Return what a hook of a strict plugin raised when it was told of this job: once."""
        error, self.hook_error = self.hook_error, None
        return error

    def raise_hook_error(self) -> None:
        """Raise what a hook of a strict plugin raised when it was told of this job: once."""
        error = self.take_hook_error()
        if error is not None:
            raise error

    def ticket(self) -> Ticket:
        """Return what an engine is asked about this job with."""
        return Ticket(
            job_id=self.attempt_id, native_id=self.native_id or "", submitted=self.submitted, spool=self.spool
        )

    def has(self, ticket: Ticket) -> bool:
        """Whether the engine is still asked with this ticket: whoever hands over the next attempt does so in
        a thread of its own."""
        return self.native_id == ticket.native_id and self.attempt_id == ticket.job_id


def _known_here() -> tuple[tuple[Spec, ...], Resources]:
    raise AssertionError("the work of a job that was handed over here is known here")


class JobTable:
    """The records of one backend, by job id.

    Attributes:
        lock: to be held while the table, or what a record says of the state of its job, is changed.
        active: of the jobs that have not ended.
        watched: of those of them that the backend's watcher asks about.
        known: of the active jobs, and of those that somebody holds a handle on.
        waits: how many callbacks there are: who waits has one with each job that he waits for.
        on_waits: called after that number has changed.
        of_attempts: the records of jobs that were handed over more than once, by the ids of these attempts.
    """

    def __init__(self) -> None:
        self.on_waits: Callable[[], object] | None = None
        self.known: weakref.WeakValueDictionary[str, JobRecord] = weakref.WeakValueDictionary()
        self.of_attempts: weakref.WeakValueDictionary[str, JobRecord] = weakref.WeakValueDictionary()
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self.lock = threading.Lock()
        self.active: dict[str, JobRecord] = {}
        self.watched: dict[str, JobRecord] = {}
        self.waits = 0

    def waits_changed(self) -> None:
        """Tell that the number of those who wait has changed; without the lock."""
        if self.on_waits is not None:
            self.on_waits()

    def ours(self, attempt_id: str) -> str:
        """Return the id of the job of an attempt, by the id that its engine knows that by."""
        record = self.of_attempts.get(attempt_id) if self.of_attempts else None
        return attempt_id if record is None else record.job_id

    def add(self, record: JobRecord) -> None:
        """Take in a new job."""
        with self.lock:
            self._add(record)

    def get_or_add(self, job_id: str, make: Callable[[], JobRecord]) -> JobRecord:
        """Return the record of a job; made where there is none."""
        record = self.known.get(job_id)
        if record is None:
            made = make()  # without the lock: it may import a plugin, which may do anything
            with self.lock:
                record = self.known.get(job_id)
                if record is None:
                    record = made
                    self._add(record)
        return record

    def _add(self, record: JobRecord) -> None:
        self.known[record.job_id] = record
        if record.launched_attempt > 1:
            self.of_attempts[record.attempt_id] = record
        if record.outcome is None:  # else it was refused, or has ended
            self.active[record.job_id] = record

    def adopt(self, record: JobRecord) -> None:
        """Take in a job that was known before this process was forked off, if it has not ended.

        Those who waited for it then are not here.
        """
        with self.lock:
            if record.outcome is None and record.job_id not in self.active:
                record.final_callbacks, record.change_callbacks, record.collecting = (), (), False
                self._add(record)

    def remove(self, record: JobRecord) -> None:
        """Forget a job that never came to be."""
        with self.lock:
            self.known.pop(record.job_id, None)
            self.active.pop(record.job_id, None)

    def records(self) -> list[JobRecord]:
        """Return all that are known."""
        with self.lock:
            return list(living(self.known).values())

    def active_records(self) -> list[JobRecord]:
        """Return those of the jobs that have not ended."""
        with self.lock:
            return list(self.active.values())
