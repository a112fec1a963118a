"""Jobs that start after others on a backend whose jobs live and end with this process: they are held here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Sequence
from typing import Any
from weakref import WeakSet

from anyjob import _typing as t
from anyjob.errors import in_words
from anyjob.execution.submit_directory import submit_directory, submitting_from
from anyjob.ledger.dependencies import RESULT, is_met
from anyjob.ledger.reading.dependency_reader import Awaited
from anyjob.orders import Order
from anyjob.outcome import Outcome
from anyjob.runtime.dependencies.dependent import Dependent, Needed
from anyjob.runtime.submission.late_launch import launch_orders
from anyjob.standalone.runner import BROKEN, broken
from anyjob.status import JobStatus
from anyjob.tracking.records import JobRecord

_held: WeakSet[HeldJob] = WeakSet()


class HeldJob(Dependent):
    """One job that is held, and handed to its backend when all that it starts after has come about.

    It ends with what it waits for where that comes to something else, and when it is cancelled.

    Args:
        backend: what it is handed to.
        order: as that takes it.
        record: of the job.
    """

    def __init__(self, backend: t.TaskBackend, order: Order, record: JobRecord) -> None:
        super().__init__(record)
        self._backend = backend
        self._order = order
        self._record = record
        self._directory = submit_directory()
        self._lock = threading.Lock()
        self._open: dict[int, Needed] = dict(enumerate(record.after))
        record.after = ()  # who holds this job is not to hold those that it waited for
        self._forget: list[Callable[[], None]] = []
        self._is_over = False
        record.held = self
        _held.add(self)
        record.message = self._awaited()

    def is_told_wrong(self, lost: str) -> bool:
        """Its engine does not have it, though it was told of one before: so it begins anew."""
        return True

    def wait(self) -> None:
        """Wait until all that it starts after has ended."""
        for needed in list(self._open.values()):
            needed.job.wait_for_final_state()

    def begin(self) -> None:
        """Listen for the ends of what it starts after; those that have ended count at once."""
        for key, needed in list(self._open.items()):
            forget = needed.job._on_final(lambda said, key=key: self._ended(key, said))  # type: ignore[misc]
            with self._lock:
                self._forget.append(forget)
        if self._is_over:
            self._let_go()

    def cancel(self) -> bool:
        """End it as cancelled; return whether it was still held."""
        if not self._take():
            return False
        self._end(Outcome(status=JobStatus.CANCELLED, finished=time.time()))
        return True

    def wait_no_more_for(self, job_ids: Container[str]) -> None:
        """Start without these jobs, unless it needs their results."""
        with self._lock:
            dropped = [
                key
                for key, needed in self._open.items()
                if needed.condition != RESULT and needed.job.job_id() in job_ids
            ]
            for key in dropped:
                del self._open[key]
            is_last = bool(dropped) and not self._open
            if self._open:
                self._record.message = self._awaited()
        if is_last and self._take():
            self._launch()

    def _take(self) -> bool:
        """Claim that what becomes of it is decided now; whether nobody had before."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
        return not was_over

    def _ended(self, key: int, said: JobStatus | BaseException) -> None:
        needed = self._open.get(key)
        if needed is None:
            return
        if isinstance(said, BaseException) or not is_met(needed.condition, said):
            if self._take():
                self._broken_by = needed.job
                message = _why(needed.job, said)
                outcome = Outcome(
                    status=JobStatus.ERROR, reason="dependency", message=message, finished=time.time()
                )
                self._end(outcome)
            return
        with self._lock:
            self._open.pop(key, None)
            is_last = not self._open
            if not is_last:
                self._record.message = self._awaited()
        if is_last and self._take():
            self._launch()

    def _launch(self) -> None:
        record = self._record
        record.message, record.held = "", None
        with submitting_from(self._directory or ""):
            left = launch_orders(self._backend, [self._order], {self._order.job_id: record})
        if left:
            why = "its backend could not be reached when it was to start"
            self._backend._tracker.end(
                record, Outcome(status=JobStatus.ERROR, reason="rejected", message=why)
            )
        self._let_go()

    def _end(self, outcome: Outcome) -> None:
        self._backend._tracker.end(self._record, outcome)
        self._let_go()

    def _let_go(self) -> None:
        """Listen no more."""
        with self._lock:
            forget, self._forget = self._forget, []
            self._open = {}
        for each in forget:
            each()

    def _awaited(self) -> str:
        first = next(iter(self._open.values())).job
        return Awaited(first.job_id(), _name_of(first), len(self._open)).in_words()


def hold(backend: t.TaskBackend, orders: Sequence[Order], records: dict[str, JobRecord]) -> None:
    """Hold jobs in this process until what they start after has come about."""
    for held in [HeldJob(backend, order, records[order.job_id]) for order in orders]:
        if backend.runs_in_caller:
            held.wait()
        held.begin()


def let_go(job_ids: Container[str]) -> None:
    """Have what is held in this process wait for these jobs no more, unless it needs their results."""
    for held in list(_held):
        held.wait_no_more_for(job_ids)


def _name_of(job: Any) -> str:
    """Return what a job is called; empty for one that is not, as a plain one."""
    return str(getattr(getattr(job, "_record", None), "name", ""))


def _why(job: Any, said: JobStatus | BaseException) -> str:
    record, name = getattr(job, "_record", None), _name_of(job)
    called = f"{job.job_id()} ({name})" if name else str(job.job_id())
    if isinstance(said, BaseException):
        return f"{BROKEN}what became of job {called} cannot be told: {in_words(said)}"
    outcome = getattr(record, "outcome", None)
    reason, message = (outcome.reason, outcome.message) if outcome is not None else (None, "")
    return str(broken(called, said.name, reason, message))
