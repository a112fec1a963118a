"""What ``squeue`` and ``sacct`` last said of the jobs of one user on one cluster: asked in bulk, and seldom.

``squeue`` is asked about all of them at once, at an interval that grows while it has nothing to tell that was
not known. Those that it does not list any more are looked up in the accounting, by one ``sacct``.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from anyjob import BackendUnavailableError
from anyjob.sdk import in_each_process
from anyjob_slurm.parsing import (
    HISTORY_FORMAT,
    QUEUE_FORMAT,
    Row,
    chunks,
    history_rows,
    job_id_in_name,
    queue_rows,
    split_id,
)
from anyjob_slurm.programs import Programs, program_error

MIN_INTERVAL = 2.0
"""Seconds between two queries to the controller, at least."""
MAX_SILENCE = 60.0
"""Seconds between two queries to the controller, at most, though the spool tells of jobs."""
MIN_INTERVAL_AFTER_CHANGE = 0.25
"""Seconds between two queries to the controller, at least, where something was done to jobs."""
MAX_INTERVAL = 20.0
"""Seconds between two queries to the controller, at most, while jobs are waited for."""
MAX_IDS = 500
"""Ids in one query to the accounting."""
ACCOUNTING_RETRY = 600.0
"""Seconds after which a cluster without accounting is asked again whether it has some."""
NEVER = float("-inf")
NO_ACCOUNTING_ERRORS = ("accounting storage is disabled", "Slurm accounting storage is disabled")


class Listing:
    """Rows of Slurm's, to be found by the id of one job."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
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
            native_id: Slurm's id, which is given anew where its numbers start again, to somebody else's job.
            submission: what is at the end of the name of ours; empty where that is not known.
        """
        job, tasks = split_id(native_id)
        if tasks is None:
            row = self._jobs.get(job)
        else:
            number = tasks[0][0]
            row = self._tasks.get((job, number)) or next(
                (row for row in self._ranges.get(job, ()) if any(number in some for some in row.tasks or ())),
                None,
            )
        is_ours = row is None or not submission or job_id_in_name(row.name) == submission
        return row if is_ours else None

    def knows_array(self, native_id: str) -> bool:
        """Whether something is said of another task of the same array."""
        return split_id(native_id)[0] in self._ranges


class ClusterKey(NamedTuple):
    """Which cluster is asked: by which programs, with which configuration."""

    programs: str
    conf: str


class Queue:
    """What Slurm says of this user's jobs on one cluster; shared by all backends that mean that cluster."""

    _shared: weakref.WeakValueDictionary[ClusterKey, Queue] = weakref.WeakValueDictionary()
    _shared_lock: threading.Lock

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self.listing = Listing()
        self.asked_at = NEVER
        self._interval = MIN_INTERVAL
        self._active_at = NEVER
        self._dirty = False
        self._first_submission = float("inf")
        self._submitted: dict[str, float] = {}
        self._history = Listing()
        self._history_ids: frozenset[str] = frozenset()
        self._history_asked_at = NEVER
        self._history_interval = MIN_INTERVAL
        self._no_accounting_at = NEVER
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
        key = ClusterKey(
            str(programs.directory or os.environ.get("PATH", "")),
            str(programs.conf or os.environ.get("SLURM_CONF", "")),
        )
        with cls._shared_lock:
            queue = cls._shared.get(key)
            if queue is None:
                queue = cls._shared[key] = cls(programs)
            return queue

    def note_submission(self, job: str) -> None:
        """Slurm has taken a submission: what it said before does not count for that."""
        with self._lock:
            self._submitted[job] = self._active_at = now = time.monotonic()
            self._first_submission = min(self._first_submission, now)
            self._interval = MIN_INTERVAL

    def was_submitted_here(self, native_id: str) -> bool:
        """Whether a job was handed over by this process."""
        return split_id(native_id)[0] in self._submitted

    def note_activity(self) -> None:
        """The spool has told of jobs: there is less need to ask Slurm."""
        self._active_at = time.monotonic()

    def invalidate(self) -> None:
        """Something was done to jobs: what is known is out of date."""
        with self._lock:
            self._dirty, self._interval = True, MIN_INTERVAL
            self._history_interval = MIN_INTERVAL

    def refresh(self, age: float | None = None) -> bool:
        """Ask the controller if it is time to; return whether it was asked.

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
            arguments = ["-h", "-t", "all", "-u", str(os.getuid()), "-O", QUEUE_FORMAT]
            output = self._programs.query("squeue", arguments)
            before = {row[:4] for row in self.listing.rows}
            self.listing = Listing(queue_rows(output))
            self.asked_at, self._dirty = now, False
            news = before != {row[:4] for row in self.listing.rows}
            self._interval = MIN_INTERVAL if news else min(self._interval * 1.5, MAX_INTERVAL)
            return True

    def covers(self, native_id: str) -> bool:
        """Whether the last answer is younger than the job, so that a job that is not in it has gone."""
        submitted = self._submitted.get(split_id(native_id)[0])
        return self.asked_at > NEVER and (submitted is None or self.asked_at > submitted)

    @property
    def has_accounting(self) -> bool:
        """Whether the cluster keeps a history, as far as is known."""
        return time.monotonic() - self._no_accounting_at > ACCOUNTING_RETRY

    def history(self, native_ids: Collection[str]) -> Listing | None:
        """Return what the accounting knows of jobs; None where it cannot be asked, or need not be yet.

        Rows arrive there seconds late: that one is missing says nothing.
        """
        with self._lock:
            jobs = frozenset(split_id(native_id)[0] for native_id in native_ids)
            now = time.monotonic()
            new = not jobs <= self._history_ids
            if now - self._history_asked_at < (MIN_INTERVAL / 2 if new else self._history_interval):
                return self._history if not new else None
            if not self.has_accounting:
                return Listing()
            self._history_asked_at = now
            try:
                rows = self._ask_history(sorted(jobs, key=int))
            except BackendUnavailableError:
                self._history_ids = frozenset()
                return None
            self._history, self._history_ids = Listing(rows), jobs
            self._history_interval = MIN_INTERVAL if new else min(self._history_interval * 1.5, MAX_INTERVAL)
            return self._history

    def _ask_history(self, jobs: Sequence[str]) -> list[Row]:
        rows: list[Row] = []
        for part in chunks(jobs, MAX_IDS):
            rows += self._sacct(["-j", ",".join(part)])
        return rows

    def history_since(self, start: float) -> list[Row]:
        """Return what the accounting knows of this user's jobs since a time; nothing where there is none.

        Raises:
            BackendUnavailableError: it does not answer.
        """
        with self._lock:
            if not self.has_accounting:
                return []
            since = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(start - 60))
            return self._sacct(["-u", str(os.getuid()), "-S", since])

    def _sacct(self, which: Sequence[str]) -> list[Row]:
        done = self._programs.run("sacct", ["-n", "-X", "-P", "-o", HISTORY_FORMAT, *which])
        if done.returncode == 0:
            return history_rows(done.stdout)
        if any(message in done.stderr for message in NO_ACCOUNTING_ERRORS):
            self._no_accounting_at = time.monotonic()
            return []
        raise program_error("sacct", done)


in_each_process(Queue.make_shared_lock)
