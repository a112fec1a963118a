"""What a scheduler last said of the jobs of one user on one cluster: asked in bulk, and seldom.

It is asked about all of them at once, at an interval that grows while it has nothing new to tell.
Those that it does not list any more are looked up in its history, all by one question.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from anyjob.batch.dialect import Dialect, Row
from anyjob.batch.programs import Budget, Programs, says
from anyjob.batch.script import job_id_in_name
from anyjob.errors import BackendUnavailableError
from anyjob.process.forks import in_each_process

MIN_INTERVAL = 2.0
"""Seconds between two listings, at least."""
MAX_SILENCE = 60.0
"""Seconds between two listings, at most, though the spool tells of jobs."""
MIN_INTERVAL_AFTER_CHANGE = 0.25
"""Seconds between two listings, at least, where something was done to jobs."""
MAX_INTERVAL = 20.0
"""Seconds between two listings, at most, while jobs are waited for."""
MAX_IDS = 500
"""Ids in one question to the history, or one cancel."""
HISTORY_RETRY = 600.0
"""Seconds after which a cluster that keeps no history is asked again whether it does."""
NEVER = float("-inf")


def user_name() -> str:
    """Return the name of the user whose jobs are meant."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


class Listing:
    """Rows, to be found by the id of one job."""

    def __init__(self, dialect: Dialect, rows: Iterable[Row] = ()) -> None:
        self._dialect = dialect
        self._jobs: dict[str, Row] = {}
        self._tasks: dict[tuple[str, int], Row] = {}
        self._ranges: dict[str, list[Row]] = {}
        self.rows = list(rows)
        for row in self.rows:
            if row.tasks is None:
                self._jobs[row.job] = row
            elif len(row.tasks) == 1 and len(row.tasks[0]) == 1:
                self._tasks[row.job, row.tasks[0][0]] = row
                self._ranges.setdefault(row.job, [])
            else:
                self._ranges.setdefault(row.job, []).append(row)

    def get(self, native_id: str, submission: str = "") -> Row | None:
        """Return what is said of a job; None where nothing is.

        Args:
            native_id: the scheduler's id, which is given anew where its numbers start again, to somebody
                else's job.
            submission: what is at the end of the name of ours; empty where that is not known.
        """
        job, number = self._dialect.split_id(native_id)
        if number is None:
            row = self._jobs.get(job)
        else:
            row = self._tasks.get((job, number)) or next(
                (row for row in self._ranges.get(job, ()) if any(number in some for some in row.tasks or ())),
                None,
            )
        is_ours = row is None or not (submission and row.name) or job_id_in_name(row.name) == submission
        return row if is_ours else None

    def knows_array(self, native_id: str) -> bool:
        """Whether something is said of another task of the same array."""
        return self._dialect.split_id(native_id)[0] in self._ranges

    def places(self) -> set[tuple[Any, ...]]:
        """Return where its jobs are, without what is expected of them."""
        return {(row.job, row.tasks, row.status, row.attempt) for row in self.rows}


def condensed(dialect: Dialect, native_ids: Iterable[str]) -> list[str]:
    """Write ids as a cancel takes them: tasks of an array that follow each other are one."""
    found: list[str] = []
    tasks: dict[str, set[int]] = {}
    for native_id in native_ids:
        job, number = dialect.split_id(native_id)
        if number is None:
            found.append(native_id)
        else:
            tasks.setdefault(job, set()).add(number)
    for job, numbers in tasks.items():
        for _, run in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
            members = [number for _, number in run]
            found.append(dialect.id_of(job, members[0], members[-1]))
    return found


def chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Cut a list into parts of at most this size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


class Queue:
    """What a scheduler says of this user's jobs on one cluster; shared by all backends that mean it."""

    _shared: weakref.WeakValueDictionary[tuple[str, ...], Queue] = weakref.WeakValueDictionary()
    _shared_lock: threading.Lock

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self.dialect = programs.dialect
        self.listing = Listing(self.dialect)
        self.asked_at = NEVER
        self._interval = MIN_INTERVAL
        self._active_at = NEVER
        self._dirty = False
        self._first_submission = float("inf")
        self._submitted: dict[str, float] = {}
        self._history = Listing(self.dialect)
        self._history_ids: frozenset[str] = frozenset()
        self._history_asked_at = NEVER
        self.history_is_away = False
        self._history_interval = MIN_INTERVAL
        self._no_history_at = NEVER
        self.submissions = Budget()
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._lock = threading.RLock()

    @classmethod
    def make_shared_lock(cls) -> None:
        """Make the lock of those that are shared."""
        cls._shared_lock = threading.Lock()

    @classmethod
    def shared(cls, programs: Programs) -> Queue:
        """Return the one queue of a cluster in this process."""
        key = programs.cluster
        with cls._shared_lock:
            queue = cls._shared.get(key)
            if queue is None:
                queue = cls._shared[key] = cls(programs)
            return queue

    def note_submission(self, job: str) -> None:
        """The scheduler has taken a submission: what it said before does not count for that."""
        with self._lock:
            self._submitted[job] = self._active_at = now = time.monotonic()
            self._first_submission = min(self._first_submission, now)
            self._interval = MIN_INTERVAL

    def was_submitted_here(self, native_id: str) -> bool:
        """Whether a job was handed over by this process."""
        return self.dialect.split_id(native_id)[0] in self._submitted

    def note_activity(self) -> None:
        """The spool has told of jobs: there is less need to ask the scheduler."""
        self._active_at = time.monotonic()

    def invalidate(self) -> None:
        """Something was done to jobs: what is known is out of date."""
        with self._lock:
            self._dirty, self._interval = True, MIN_INTERVAL
            self._history_interval = MIN_INTERVAL

    def refresh(self, age: float | None = None) -> bool:
        """List the jobs if it is time to; return whether it was asked.

        Args:
            age: seconds that the last answer may be old; None: what the interval says.

        Raises:
            BackendUnavailableError: it does not answer.
        """
        with self._lock:
            now = time.monotonic()
            if age is not None:
                due = now - self.asked_at > age
            else:
                since = max(self.asked_at, self._first_submission if self._first_submission <= now else NEVER)
                due = now >= min(max(since, self._active_at) + self._interval, since + MAX_SILENCE)
            due = due or (self._dirty and now - self.asked_at > MIN_INTERVAL_AFTER_CHANGE)
            if not due:
                return False
            command = self.dialect.listing(user_name())
            rows = self._programs.read(self.dialect.listed, self._programs.query(command), command[0])
            rows = [row for row in rows if row.owner in ("", user_name())]
            before = self.listing.places()
            self.listing = Listing(self.dialect, rows)
            self.asked_at, self._dirty = now, False
            news = before != self.listing.places()
            self._interval = MIN_INTERVAL if news else min(self._interval * 1.5, MAX_INTERVAL)
            return True

    def covers(self, native_id: str) -> bool:
        """Whether the last answer is younger than the job, so that a job that is not in it has gone."""
        submitted = self._submitted.get(self.dialect.split_id(native_id)[0])
        return self.asked_at > NEVER and (submitted is None or self.asked_at > submitted)

    @property
    def has_history(self) -> bool:
        """Whether the cluster keeps a history, as far as is known."""
        return time.monotonic() - self._no_history_at > HISTORY_RETRY

    def history(self, native_ids: Collection[str], since: float) -> Listing | None:
        """Return what the history knows of jobs; None where it cannot be asked, or need not be yet.

        Rows may arrive there seconds late: that one is missing says nothing.

        Args:
            native_ids: the jobs.
            since: none of them was submitted before, in seconds since 1970.
        """
        with self._lock:
            jobs = frozenset(self.dialect.split_id(native_id)[0] for native_id in native_ids)
            now = time.monotonic()
            new = not jobs <= self._history_ids
            if now - self._history_asked_at < (MIN_INTERVAL / 2 if new else self._history_interval):
                return self._history if not new else None
            if not self.has_history:
                return Listing(self.dialect)
            self._history_asked_at = now
            try:
                rows = self._ask_history(sorted(jobs), since)
            except BackendUnavailableError:
                self._history_ids, self.history_is_away = frozenset(), True
                return None
            self.history_is_away = False
            self._history, self._history_ids = Listing(self.dialect, rows), jobs
            self._history_interval = MIN_INTERVAL if new else min(self._history_interval * 1.5, MAX_INTERVAL)
            return self._history

    def history_since(self, since: float) -> list[Row]:
        """Return what the history knows of this user's jobs since a time; nothing where there is none.

        Raises:
            BackendUnavailableError: it does not answer.
        """
        with self._lock:
            return self._ask_history([], since) if self.has_history else []

    def _ask_history(self, jobs: Sequence[str], since: float) -> list[Row]:
        rows: list[Row] = []
        commands: list[list[str]] = []
        for part in list(chunks(jobs, MAX_IDS)) or [()]:
            command = self.dialect.history(part, user_name(), since)
            if command is None and jobs:
                self._no_history_at = time.monotonic()
            if command is None or command in commands:
                continue
            commands.append(command)
            done = self._programs.run(command)
            if says(self.dialect.no_history, done):
                self._no_history_at = time.monotonic()
            elif done.returncode == 0 or says(self.dialect.nothing, done):  # of some of them
                rows += self._programs.read(self.dialect.recorded, done.stdout, command[0])
            else:
                raise self._programs.error(done)
        return rows


in_each_process(Queue.make_shared_lock)
