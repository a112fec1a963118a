"""Asks about the jobs that somebody waits for: one thread a task backend, at an interval that adapts."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from anyjob.errors import BackendError, BackendUnavailableError, StateError
from anyjob.process.forks import in_each_process
from anyjob.process.plugin_thread import PluginThread
from anyjob.process.reporting import report
from anyjob.status import backoff
from anyjob.tracking.records import NEVER

if TYPE_CHECKING:
    from anyjob.tracking.bulk_query import BulkQuery
    from anyjob.tracking.engine import Engine
    from anyjob.tracking.records import JobRecord, JobTable
    from anyjob.tracking.transitions import Transitions

FLOOR = 0.05
"""Seconds between two questions, at least, to a backend that has no floor and cannot notify now."""
NEVER_DUE = float("inf")


class PollSchedule:
    """When an engine is asked next.

    The interval grows from the backend's ``floor`` to its ``ceiling`` while nothing changes; a backend
    that notifies is asked at its ceiling only.

    Attributes:
        interval: seconds between two questions, as of now.
        due: when to ask next, by `time.monotonic`.
    """

    def __init__(self, backend: Engine) -> None:
        self._backend = backend
        self.interval = self.due = 0.0
        self.failures = 0
        self._failing_since: float | None = None

    def soon(self) -> None:
        """Ask soon, however long the interval has grown: somebody has just begun to wait."""
        self.interval = self._backend.floor
        self.due = min(self.due, time.monotonic() + self.interval)

    def begin(self) -> None:
        """All are asked about now; who begins to wait meanwhile is not among them."""
        self.due = NEVER_DUE

    def failed(self) -> None:
        """It could not be asked: back off, by a little chance, since others may be in the same case."""
        from random import uniform  # what fails seldom is loaded when it does

        self.failures += 1
        self._failing_since = self._failing_since or time.monotonic()
        pause = backoff(self.failures, ceiling=self._backend.ceiling)
        self.due = time.monotonic() + uniform(pause / 2, pause)

    def succeeded(self) -> None:
        """It could be asked."""
        self.failures, self._failing_since = 0, None

    @property
    def failing_for(self) -> float:
        """For how many seconds it could not be asked."""
        return 0.0 if self._failing_since is None else time.monotonic() - self._failing_since

    def asked(self, changed: bool, all_known: bool = True) -> None:
        """All were asked about that are watched.

        Args:
            changed: whether anything had changed.
            all_known: whether the engine knows, and so would tell of, each of them.
        """
        floor = self._backend.floor or FLOOR
        if self._backend.capabilities.notifies and all_known:
            self.interval = self._backend.ceiling
        elif changed:
            self.interval = floor
        else:
            self.interval = min(max(self.interval * 1.5, floor), self._backend.ceiling)
        self.due = min(self.due, time.monotonic() + self.interval)


class Watcher:
    """Asks about what is watched, when it is due and when the engine was heard to say something.

    Its thread runs while there is something to watch, and has the engine listen. What it could not ask or
    write is asked again. A backend that answers from memory is asked at once, and needs a thread only for
    what could not be taken in.

    Args:
        backend: whose jobs they are.
        jobs: the records of these.
        query: asks the engine.
        transitions: tells those who wait of what keeps it from being asked.

    Attributes:
        closed: whether it asks no more.
    """

    def __init__(self, backend: Engine, jobs: JobTable, query: BulkQuery, transitions: Transitions) -> None:
        self.schedule = PollSchedule(backend)
        self._backend = backend
        self._jobs = jobs
        self._query = query
        self._transitions = transitions
        self.closed = False
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._hints: deque[str] = deque()
        self._later: deque[str] = deque()  # hints about jobs that nobody waited for
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._listens = False
        self._has_new = False  # watched jobs: whom the engine was to tell may have been lost meanwhile

    def watch(self, record: JobRecord) -> None:
        """Ask about a job from now on, until it has ended or is watched no more. It does not block."""
        if self.closed:
            self._transitions.fail_waits([record], was_closed(self._backend))
            return
        if self._backend.answers_from_memory:
            self._ask_now([record])  # what ended before this request has sent its hint already
            return
        with self._jobs.lock:
            if record.outcome is not None or record.job_id in self._jobs.watched:
                return
            self._jobs.watched[record.job_id] = record
            self._has_new = True
            if self._backend.floor:
                self.schedule.soon()
            else:  # what changes is told; so nobody has to ask about all but once
                self._hints.append(record.job_id)
            # What the engine has told while nobody waited is asked about at once.
            self._hints.extend(_taken(self._later))
            self._wake.set()
            self._start()

    def repeat(self, records: Iterable[JobRecord]) -> None:
        """What was to be learnt of these was not: ask again, where somebody waits for it.

        A backend that has a floor is polled by all means.
        """
        if self._backend.floor:
            return
        watches = self._backend.services.watches
        with self._jobs.lock:
            waited_for = [
                record.job_id
                for record in records
                if record.outcome is None and (watches or record.final_callbacks or record.change_callbacks)
            ]
            if waited_for and not self.closed:
                self._hints.extend(waited_for)
                if threading.current_thread() is not self._thread:  # else it backs off by itself
                    self.schedule.failed()
                    self._wake.set()
                    self._start()

    def hint(self, job_ids: Iterable[str]) -> None:
        """The engine was heard to say something of these jobs: ask about them soon, once."""
        active = self._jobs.active
        if not self._backend.floor:
            self._ask_now([record for job_id in job_ids if (record := active.get(job_id)) is not None])
            return
        for job_id in job_ids:
            record = active.get(job_id)
            if record is not None:
                record.asked_at = NEVER  # what is known is out of date
                (self._hints if job_id in self._jobs.watched else self._later).append(job_id)
        self._wake.set()

    def _ask_now(self, records: list[JobRecord]) -> None:
        self._query.ask([record for record in records if record.outcome is None])

    def _start(self) -> None:
        """Have a thread; with the lock held."""
        if self._thread is None:
            self._thread = PluginThread(self._run, f"anyjob-watch-{self._backend.name()}")
            self._thread.start()

    def _listen(self) -> None:
        """Have the engine listened to; where that is not possible now, it is polled until then."""
        try:
            self._backend.listen()
        except BackendUnavailableError:
            self._listens = False
        except BaseException as error:  # of a plugin, sys.exit() too: told to those who wait
            with self._jobs.lock:
                watched = list(self._jobs.watched.values())
            self._failed(watched, error)
        else:
            self._listens = True

    def _failed(self, records: list[JobRecord], error: BaseException) -> None:
        """Ask again soon where that may help; else tell those who wait, and leave the jobs as they are.

        A ledger that is locked, or a process without a descriptor left, may be well in a moment; credentials
        that are refused, or a fault in the plugin (SystemExit too), will not.
        """
        schedule = self.schedule
        schedule.failed()
        may_pass = isinstance(error, StateError | OSError) and schedule.failing_for < self._backend.grace
        if not may_pass:
            self._transitions.fail_waits(records, error)
        elif schedule.failures == 1:
            report("asking backend %r for its jobs, which is tried again: %s", self._backend.name(), error)

    def _run(self) -> None:
        schedule, active = self.schedule, self._jobs.active
        while True:
            self._wake.wait(max(0.0, min(schedule.due - time.monotonic(), threading.TIMEOUT_MAX)))
            self._wake.clear()
            hinted = _taken(self._hints)
            with self._jobs.lock:
                if self.closed or not (self._jobs.watched or hinted):
                    self._thread = None
                    schedule.succeeded()
                    return
                due = time.monotonic() >= schedule.due
                if hinted or due:  # those that nobody waits for take part in a question that is asked anyway
                    hinted |= _taken(self._later)
                # All of them, so that who waits for one after the other waits but once.
                of = active if due else hinted
                old: list[JobRecord] = []
                records = [active[job_id] for job_id in of if job_id in active]
                if due:
                    schedule.begin()
                begins, self._has_new = self._has_new, False
            if begins or (due and not self._listens):
                self._listen()
            if not due and not records:
                continue
            try:
                with self._query.under_way:
                    # Whoever asked a moment ago has asked for us.
                    young = time.monotonic() - self._backend.floor
                    old = [r for r in records if r.job_id in hinted or r.asked_at < young]
                    changed = self._query.ask(old)
            except BackendUnavailableError:
                schedule.failed()
            except BaseException as error:  # of a plugin, sys.exit() too: this thread goes on
                self._failed(records, error)
            else:
                schedule.succeeded()
                if due:
                    # Of a job that the engine does not know it tells nothing; and one that was not asked
                    # about now may have changed before we began to listen.
                    all_known = len(old) == len(records) and not any(
                        r.missing_since is not None or r.deferred for r in records
                    )
                    with self._jobs.lock:
                        schedule.asked(changed, all_known and self._listens)
            records = old = []  # while this thread waits it holds no job that nobody else does

    def close(self) -> None:
        """Stop asking. Those who still wait are told."""
        with self._jobs.lock:
            self.closed = True
            waiting = [record for record in self._jobs.active.values() if record.final_callbacks]
        self._wake.set()
        self._transitions.fail_waits(waiting, was_closed(self._backend))


def was_closed(backend: Any) -> BackendError:
    """Return what a backend that was closed says to those who want something of it."""
    jobs = ", and get_job(id) its jobs, which go on" if backend.capabilities.durable else ""
    return BackendError(f"backend {backend.name()!r} was closed: get_backend() gives another one{jobs}")


def _taken(hints: deque[str]) -> set[str]:
    """Take out the hints that are there now; other threads may add to them meanwhile."""
    return {hints.popleft() for _ in range(len(hints))}
