"""Keeps track of the jobs of one task backend: asks for them in bulk, and settles each once."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from anyjob.errors import BackendError, BackendUnavailableError
from anyjob.orders import Observation, Ticket
from anyjob.specs import Outcome, Resources, Spec, kind_of
from anyjob.status import JOB_FINAL_STATES, JobStatus, as_status, backoff

if TYPE_CHECKING:
    from anyjob.tracking.engine import Engine

FinalCallback = Callable[[JobStatus | BaseException], None]
NEVER = float("-inf")
CHUNK = 1000
"""How many jobs one question to an engine is about, at most."""


class Record:
    """What is known of one job, shared by all handles on it in this process."""

    __slots__ = (
        "__weakref__",
        "asked",
        "attempt",
        "changes",
        "claimed",
        "finals",
        "job_id",
        "kind",
        "load",
        "message",
        "native",
        "native_id",
        "notes",
        "outcome",
        "queue_position",
        "spool",
        "status",
        "submitted",
        "tracker",
        "unseen",
        "unsure",
        "work_",
    )

    def __init__(
        self,
        tracker: Tracker,
        job_id: str,
        kind: str,
        native: str,
        load: Callable[[], tuple[tuple[Spec, ...], Resources]],
    ) -> None:
        self.tracker = tracker
        self.job_id = job_id
        self.kind = kind
        self.native = native
        self.load = load
        self.work_: tuple[tuple[Spec, ...], Resources] | None = None
        self.native_id: str | None = None
        self.notes: Mapping[str, str] | None = None  # to be read, where it was handed over elsewhere
        self.status = JobStatus.INITIALIZING
        self.outcome: Outcome | None = None
        self.message = ""
        self.queue_position: int | None = None
        self.attempt = 1
        self.submitted = time.time()
        self.asked = NEVER
        self.unseen: float | None = None
        self.claimed = False
        self.unsure = False
        self.spool: Any = None
        self.finals: list[FinalCallback] = []
        self.changes: list[Callable[[], None]] = []

    @classmethod
    def new(cls, tracker: Tracker, job_id: str, specs: tuple[Spec, ...], resources: Resources) -> Record:
        """Make the record of a job that is about to be handed over."""
        record = cls(tracker, job_id, kind_of(specs[0]), kind_of(specs[-1]), _forgotten)
        record.work_ = specs, resources
        return record

    @property
    def specs(self) -> tuple[Spec, ...]:
        """The work as it was handed over, and all that it was rewritten as; the last one is native."""
        return self._work()[0]

    @property
    def resources(self) -> Resources:
        """What the job needs and what it is called."""
        return self._work()[1]

    def _work(self) -> tuple[tuple[Spec, ...], Resources]:
        if self.work_ is None:
            self.work_ = self.load()
        return self.work_

    def ticket(self) -> Ticket:
        """Return what an engine is asked about this job with."""
        return Ticket(
            job_id=self.job_id, native_id=self.native_id or "", submitted=self.submitted, spool=self.spool
        )


def _taken(hints: deque[str]) -> set[str]:
    """Take out the hints that are there now; other threads may add to them meanwhile."""
    return {hints.popleft() for _ in range(len(hints))}


def _chunks(records: list[Record]) -> Iterator[list[Record]]:
    return (records[start : start + CHUNK] for start in range(0, len(records), CHUNK))


def _forgotten() -> tuple[tuple[Spec, ...], Resources]:
    raise AssertionError("the work of a job that was handed over here is known here")


class Tracker:
    """The jobs of one backend in this process.

    A question to the engine is about many jobs at a time, and one is under way at most: whoever
    asks meanwhile takes part in the next. With callbacks to serve, a thread polls at an interval
    that grows from the backend's ``floor`` to its ``ceiling`` while nothing changes; a backend that
    notifies is polled at its ceiling only. A backend whose floor is 0 answers from memory: it is
    asked about single jobs, in the thread that wants to know.
    """

    every: weakref.WeakSet[Tracker] = weakref.WeakSet()

    def __init__(self, backend: Engine) -> None:
        self._backend = backend
        self._asking = threading.RLock()  # a hook that it calls may ask about another job
        self._guard = threading.Lock()
        self._active: dict[str, Record] = {}
        self._watched: dict[str, Record] = {}
        self._known: weakref.WeakValueDictionary[str, Record] = weakref.WeakValueDictionary()
        self._hints: deque[str] = deque()
        self._later: deque[str] = deque()  # hints about jobs that nobody waited for
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._interval = self._due = 0.0
        self._down: tuple[float, BackendUnavailableError] | None = None
        self._closed = False
        Tracker.every.add(self)

    def add(self, record: Record) -> None:
        """Take in a new job."""
        with self._guard:
            self._known[record.job_id] = record
            if record.outcome is None:  # else it was refused
                self._active[record.job_id] = record

    def drop(self, record: Record) -> None:
        """Forget a job that never came to be."""
        with self._guard:
            self._known.pop(record.job_id, None)
            self._active.pop(record.job_id, None)

    def records(self) -> list[Record]:
        """Return those jobs that are not final, and those that somebody holds a handle on."""
        with self._guard:
            return list(self._known.values())

    def when_forgotten(self, job_id: str, call: Callable[[], Any]) -> None:
        """Have ``call`` called when nobody holds a handle on a job any more."""
        record = self._known.get(job_id)
        if record is None:
            call()
        else:
            weakref.finalize(record, call).atexit = False

    def job(self, job_id: str) -> Any:
        """Return a handle on a job that is known here; None for one that is not."""
        record = self._known.get(job_id)
        return None if record is None else self.handle(record)

    def handle(self, record: Record) -> Any:
        """Return a handle on a job."""
        return self._backend.services.job_type(record.kind)(self._backend, record.job_id, record)

    def take_up(self, job_id: str, make: Callable[[], Record]) -> Record:
        """Return the record of a job that another process handed over, made anew where there is none."""
        with self._guard:
            record = self._known.get(job_id)
            if record is None:
                record = self._known[job_id] = make()
                if record.outcome is None:
                    self._active[job_id] = record
            return record

    def open_ids(self) -> list[str]:
        """Return the ids of the jobs that have not ended."""
        with self._guard:
            return list(self._active)

    def waits(self) -> bool:
        """Tell whether somebody waits for a job."""
        if self._backend.services.watches and self._active:
            return True
        with self._guard:
            return any(record.finals or record.changes for record in self._active.values())

    # --- asking -------------------------------------------------------------------------------

    def ask(self, record: Record) -> JobStatus:
        """Return where a job is, by the next bulk question or an answer younger than the floor.

        Raises whatever the backend's ``observe`` raises.
        """
        if record.outcome is not None or (record.native_id is None and not record.unsure):
            return record.status
        called = time.monotonic()
        floor = self._backend.floor
        if not floor:
            self._question([record])
        elif called - record.asked > floor:
            with self._asking:
                # Whoever held the lock may have asked for us after we came.
                if record.asked < called and time.monotonic() - record.asked > floor:
                    self._ask_all()
        return record.status

    def _ask_all(self) -> None:
        """Ask about every job that has not ended; not so soon after the engine could not be reached."""
        if self._down is not None and time.monotonic() - self._down[0] <= self._backend.floor:
            raise BackendUnavailableError(str(self._down[1])) from self._down[1]
        with self._guard:
            records = list(self._active.values())
        self._question(records)

    def _question(self, records: list[Record]) -> bool:
        """Ask the engine about these, and take in what it says. Return whether anything changed."""
        changed = False
        try:
            for chunk in _chunks([record for record in records if record.unsure]):
                changed |= self._find(chunk, time.monotonic())
            for chunk in _chunks([record for record in records if record.native_id is not None]):
                changed |= self._observe(chunk, time.monotonic())
        except BackendUnavailableError as error:
            self._down = time.monotonic(), error
            for record in records:
                if not record.unsure:
                    record.unseen = None  # what is not asked does not count as not known
            raise
        self._down = None
        return changed

    def _observe(self, records: list[Record], now: float) -> bool:
        """Ask where jobs are that the engine has taken."""
        seen = self._backend.observe([record.ticket() for record in records])
        moved: list[tuple[Record, JobStatus, JobStatus]] = []
        ended: list[tuple[Record, Observation | None]] = []
        for record in records:
            record.asked = now
            observation = seen.get(record.job_id)
            if observation is None:
                ended.append((record, self._missing(record, now)))
                continue
            if not isinstance(observation, Observation):
                raise BackendError(
                    f"observe() of {type(self._backend).__qualname__} gave {observation!r:.80} for job "
                    f"{record.job_id}: it gives an Observation for each job that the engine knows"
                )
            record.unseen = None
            status = as_status(observation.status, record.job_id)
            if status in JOB_FINAL_STATES:
                ended.append((record, observation))
            elif (old := self._take_in(record, status, observation)) is not None:
                moved.append((record, old, status))
        if moved:
            self._backend.recorder.moved([(record, status) for record, _, status in moved])
        for record, old, status in moved:
            self._tell(record, old, status)
        return self._collect(ended) or bool(moved)

    def _missing(self, record: Record, now: float) -> Observation | None:
        """An id that the engine does not answer for is unknown, and lost only after a grace period."""
        if record.unseen is None:
            record.unseen = now
        if now - record.unseen < self._backend.grace:
            return None
        return Observation(
            JobStatus.ERROR,
            "lost",
            f"backend {self._backend.name()!r} has not known of job {record.job_id} (its {record.native_id}) "
            f"for {now - record.unseen:.0f} s, and nothing came of it: it is taken for lost",
        )

    def _find(self, records: list[Record], now: float) -> bool:
        """Look for jobs that the engine may have or not."""
        found = dict(self._backend.find([record.job_id for record in records]))
        grace = self._backend.grace
        late = [r.job_id for r in records if r.job_id not in found and now - (r.unseen or now) >= grace]
        if late:
            found.update(self._backend.renounce(late))
        native_ids = {record.job_id: found[record.job_id] for record in records if record.job_id in found}
        if native_ids:
            self._backend.recorder.launched(native_ids)
        for record in records:
            record.asked = now
            if record.job_id in native_ids:
                record.unsure, record.unseen = False, None
                self.launched(record, native_ids[record.job_id])
            elif record.job_id in late:
                self._never_heard(record)
        return bool(native_ids or late)

    def _never_heard(self, record: Record) -> None:
        record.unsure = False
        message = (
            f"backend {self._backend.name()!r} did not say whether it has taken job {record.job_id}, and "
            "cannot find it: it is taken for lost, and not submitted again, lest it run twice"
        )
        self.end(record, Outcome(status=JobStatus.ERROR, reason="lost", message=message))

    def _collect(self, ended: list[tuple[Record, Observation | None]]) -> bool:
        """Settle these jobs by what came of them, else by what the engine says.

        Of one that the engine says nothing about, only an outcome shows that it has ended.
        """
        with self._guard:  # two threads may have seen the same end: one of them collects
            ended = [(r, seen) for r, seen in ended if r.outcome is None and not r.claimed]
            for record, _ in ended:
                record.claimed = True
        if not ended:
            return False
        settled = False
        try:
            outcomes = dict(self._backend.collect([record.ticket() for record, _ in ended]))
            for record, seen in ended:
                if record.job_id not in outcomes and seen is not None:
                    outcomes[record.job_id] = Outcome(
                        status=as_status(seen.status),
                        reason=seen.reason,
                        message=seen.message,
                        attempt=seen.attempt,
                    )
            self._backend.recorder.settled(outcomes)
            for record, _ in ended:
                if record.job_id in outcomes:
                    self.settle(record, outcomes[record.job_id])
                    settled = True
        finally:
            for record, _ in ended:
                record.claimed = False
        return settled

    # --- what changes -------------------------------------------------------------------------

    def _take_in(self, record: Record, status: JobStatus, seen: Observation) -> JobStatus | None:
        """Take in where a job that has not ended is; return where it was, if that is somewhere else."""
        with self._guard:
            if record.outcome is not None:
                return None  # final is final
            record.message, record.queue_position = seen.message, seen.queue_position
            old = record.status
            # Only a new attempt takes a job from RUNNING back.
            if seen.attempt <= record.attempt and old in (status, JobStatus.RUNNING):
                return None
            record.status = status
            record.attempt = max(record.attempt, seen.attempt)
        return old

    def _tell(self, record: Record, old: JobStatus, status: JobStatus) -> None:
        """Tell those who want to know that a job is not where it was."""
        for change in tuple(record.changes):
            change()
        if self._backend.services.watches and status is not old:
            self._backend.services.changed(self._backend, record, old, status)

    def launched(self, record: Record, native_id: str) -> None:
        """The engine has taken a job; whoever has heard that notes it in the recorder, of many at a time."""
        record.asked = time.monotonic()  # to have taken it is an answer
        record.native_id = native_id
        if record.status is JobStatus.INITIALIZING:
            old = self._take_in(record, JobStatus.QUEUED, Observation(JobStatus.QUEUED))
            if old is not None:
                self._tell(record, old, JobStatus.QUEUED)
        if self._backend.services.watches:
            self._watch(record)

    def follow(self, record: Record) -> None:
        """Have the hooks told of what becomes of a job that another process handed over."""
        self._watch(record)

    def unsure(self, record: Record) -> None:
        """The engine has taken a job, or not: to be found out."""
        if not self._backend.capabilities.find:
            self._never_heard(record)
            return
        record.unseen = time.monotonic()
        record.unsure = True
        if self._backend.services.watches:
            self._watch(record)

    def end(self, record: Record, outcome: Outcome) -> None:
        """Write down that a job has ended, and settle it."""
        self._backend.recorder.settled({record.job_id: outcome})
        self.settle(record, outcome)

    def settle(self, record: Record, outcome: Outcome) -> None:
        """The job has ended with this outcome; the first one counts, since final is final."""
        with self._guard:
            if record.outcome is not None:
                return
            old = record.status
            record.outcome = outcome
            record.status = outcome.status
            record.message = outcome.message
            record.queue_position = None
            record.attempt = outcome.attempt
            self._active.pop(record.job_id, None)
            self._watched.pop(record.job_id, None)
            finals, record.finals = record.finals, []
        for change in tuple(record.changes):
            change()
        services = self._backend.services
        try:
            if services.watches:
                services.changed(self._backend, record, old, outcome.status)
                services.finished(self._backend, record, outcome)
        finally:  # where plugins are strict, a hook's error passes through
            for final in finals:
                final(outcome.status)

    # --- telling ------------------------------------------------------------------------------

    def on_final(self, record: Record, callback: FinalCallback) -> Callable[[], None]:
        """Have ``callback`` called once with the final status; returns what takes that back."""
        with self._guard:
            waits = record.outcome is None
            if waits:
                record.finals.append(callback)
        if not waits:
            callback(record.status)
            return lambda: None
        self._watch(record)
        return lambda: self._no_more(record, record.finals, callback)

    def on_change(self, record: Record, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called at each change, and when the wait had better look by itself."""
        with self._guard:
            record.changes.append(callback)
        self._watch(record)
        return lambda: self._no_more(record, record.changes, callback)

    def _no_more(self, record: Record, callbacks: list[Any], callback: Any) -> None:
        with self._guard:
            if callback in callbacks:
                callbacks.remove(callback)
            if not record.finals and not record.changes and not self._backend.services.watches:
                self._watched.pop(record.job_id, None)

    def _watch(self, record: Record) -> None:
        if not self._backend.floor:
            self._backend.listen()
            # What ended between the last look and this request has sent its hint already.
            self._look([record])
            return
        if self._closed:
            self._raise([record], self._was_closed())
            return
        if self._thread is None:
            with suppress(BackendUnavailableError):  # transient: until then it is polled
                self._backend.listen()
        with self._guard:
            if record.outcome is not None or record.job_id in self._watched:
                return
            self._watched[record.job_id] = record
            # Who has just begun to wait is served soon, however long the interval has grown.
            self._interval = self._backend.floor
            self._due = min(self._due, time.monotonic() + self._interval)
            # What the engine has told while nobody waited is asked about at once.
            self._hints.extend(_taken(self._later))
            self._wake.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._poll, name=f"anyjob-watch-{self._backend.name()}", daemon=True
                )
                self._thread.start()

    def _look(self, records: list[Record]) -> None:
        self._question([record for record in records if record.outcome is None])

    def hint(self, job_ids: Iterable[str]) -> None:
        """The engine was heard to say something of these jobs: ask about them soon, once."""
        if not self._backend.floor:
            self._look([record for job_id in job_ids if (record := self._active.get(job_id)) is not None])
            return
        for job_id in job_ids:
            record = self._active.get(job_id)
            if record is not None:
                record.asked = NEVER  # what is known is out of date
                (self._hints if job_id in self._watched else self._later).append(job_id)
        self._wake.set()

    def _poll(self) -> None:
        failures = 0
        while True:
            self._wake.wait(max(0.0, self._due - time.monotonic()))
            self._wake.clear()
            hinted = _taken(self._hints)
            with self._guard:
                if self._closed or not self._watched:
                    self._thread = None
                    return
                due = time.monotonic() >= self._due
                if hinted or due:  # those that nobody waits for take part in a question that is asked anyway
                    hinted |= _taken(self._later)
                # All of them, so that who waits for one after the other waits but once.
                of = self._active if due else hinted
                old: list[Record] = []
                records = [self._active[job_id] for job_id in of if job_id in self._active]
            if not due and not records:
                continue
            try:
                with self._asking:
                    # Whoever asked a moment ago has asked for us.
                    young = time.monotonic() - self._backend.floor
                    old = [r for r in records if r.job_id in hinted or r.asked < young]
                    changed = self._question(old)
            except BackendUnavailableError:
                failures += 1
                self._due = time.monotonic() + backoff(failures, ceiling=self._backend.ceiling)
            except BaseException as error:
                # Permanent (credentials), or a fault in the plugin (SystemExit too): the jobs are
                # left as they are, and whoever waits for them is told.
                self._raise(records, error)
            else:
                failures = 0
                if due:
                    heard = len(old) == len(records) and all(r.unseen is None for r in records)
                    self._next(changed, heard)
            records = old = []  # while this thread waits it holds no job that nobody else does

    def _next(self, changed: bool, heard: bool = True) -> None:
        backend = self._backend
        # Of a job that the engine does not know it tells nothing; and one that was not asked about now may
        # have changed before we began to listen.
        if backend.capabilities.notifies and heard:
            interval = backend.ceiling
        elif changed:
            interval = backend.floor
        else:
            interval = min(self._interval * 1.5, backend.ceiling)
        self._interval = interval
        self._due = time.monotonic() + interval

    def _raise(self, records: list[Record], error: BaseException) -> None:
        for record in records:
            with self._guard:
                self._watched.pop(record.job_id, None)
                finals, record.finals = record.finals, []
            for change in tuple(record.changes):
                change()
            for final in finals:
                final(error)

    def close(self) -> None:
        """Stop asking. Those who still wait are told."""
        with self._guard:
            self._closed = True
            waiting = [record for record in self._active.values() if record.finals]
        self._wake.set()
        self._raise(waiting, self._was_closed())

    def _was_closed(self) -> BackendError:
        return BackendError(f"backend {self._backend.name()!r} was closed")
