"""Asks about the jobs that somebody waits for: one thread a task backend, at an interval that adapts."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from anyjob.errors import BackendError, BackendUnavailableError
from anyjob.forks import in_each_process
from anyjob.status import backoff
from anyjob.tracking.records import NEVER

if TYPE_CHECKING:
    from anyjob.tracking.bulk_query import BulkQuery
    from anyjob.tracking.engine import Engine
    from anyjob.tracking.records import JobRecord, JobTable
    from anyjob.tracking.transitions import Transitions


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

    def soon(self) -> None:
        """Ask soon, however long the interval has grown: somebody has just begun to wait."""
        self.interval = self._backend.floor
        self.due = min(self.due, time.monotonic() + self.interval)

    def failed(self) -> None:
        """The engine could not be reached: back off."""
        self.failures += 1
        self.due = time.monotonic() + backoff(self.failures, ceiling=self._backend.ceiling)

    def asked(self, changed: bool, all_known: bool = True) -> None:
        """All were asked about that are watched.

        Args:
            changed: whether anything had changed.
            all_known: whether the engine knows, and so would tell of, each of them.
        """
        if self._backend.capabilities.notifies and all_known:
            self.interval = self._backend.ceiling
        elif changed:
            self.interval = self._backend.floor
        else:
            self.interval = min(self.interval * 1.5, self._backend.ceiling)
        self.due = time.monotonic() + self.interval


class Watcher:
    """Asks about what is watched, when it is due and when the engine was heard to say something.

    Its thread runs while there is something to watch. A backend whose floor is 0 answers from memory, and
    needs none.

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

    def watch(self, record: JobRecord) -> None:
        """Ask about a job from now on, until it has ended or is watched no more."""
        if not self._backend.floor:
            self._backend.listen()
            # What ended between the last look and this request has sent its hint already.
            self._ask_now([record])
            return
        if self.closed:
            self._transitions.fail_waits([record], self._was_closed())
            return
        if self._thread is None:
            with suppress(BackendUnavailableError):  # transient: until then it is polled
                self._backend.listen()
        with self._jobs.lock:
            if record.outcome is not None or record.job_id in self._jobs.watched:
                return
            self._jobs.watched[record.job_id] = record
            self.schedule.soon()
            # What the engine has told while nobody waited is asked about at once.
            self._hints.extend(_taken(self._later))
            self._wake.set()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name=f"anyjob-watch-{self._backend.name()}", daemon=True
                )
                self._thread.start()

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

    def _run(self) -> None:
        schedule, active = self.schedule, self._jobs.active
        schedule.failures = 0
        while True:
            self._wake.wait(max(0.0, schedule.due - time.monotonic()))
            self._wake.clear()
            hinted = _taken(self._hints)
            with self._jobs.lock:
                if self.closed or not self._jobs.watched:
                    self._thread = None
                    return
                due = time.monotonic() >= schedule.due
                if hinted or due:  # those that nobody waits for take part in a question that is asked anyway
                    hinted |= _taken(self._later)
                # All of them, so that who waits for one after the other waits but once.
                of = active if due else hinted
                old: list[JobRecord] = []
                records = [active[job_id] for job_id in of if job_id in active]
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
            except BaseException as error:
                # Permanent (credentials), or a fault in the plugin (SystemExit too): the jobs are
                # left as they are, and whoever waits for them is told.
                self._transitions.fail_waits(records, error)
            else:
                schedule.failures = 0
                if due:
                    # Of a job that the engine does not know it tells nothing; and one that was not asked
                    # about now may have changed before we began to listen.
                    all_known = len(old) == len(records) and all(r.missing_since is None for r in records)
                    schedule.asked(changed, all_known)
            records = old = []  # while this thread waits it holds no job that nobody else does

    def close(self) -> None:
        """Stop asking. Those who still wait are told."""
        with self._jobs.lock:
            self.closed = True
            waiting = [record for record in self._jobs.active.values() if record.final_callbacks]
        self._wake.set()
        self._transitions.fail_waits(waiting, self._was_closed())

    def _was_closed(self) -> BackendError:
        return BackendError(f"backend {self._backend.name()!r} was closed")


def _taken(hints: deque[str]) -> set[str]:
    """Take out the hints that are there now; other threads may add to them meanwhile."""
    return {hints.popleft() for _ in range(len(hints))}
