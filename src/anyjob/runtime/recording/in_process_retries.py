"""Attempts of jobs that live and end with this process, on engines that run none again by themselves."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Mapping, Sequence
from random import random
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from anyjob.execution.next_attempt import next_attempt
from anyjob.outcome import Outcome
from anyjob.process.forks import in_each_process
from anyjob.process.plugin_thread import PluginThread
from anyjob.runtime.recording.recorder import Deferred, Recorder
from anyjob.status import JobStatus

if TYPE_CHECKING:
    from anyjob.runtime.dependencies.dependent import Needed
    from anyjob.tracking.records import JobRecord

Ended = tuple[int, str, Outcome]


class InProcessRetries(Recorder):
    """Decides whether a job goes again, and hands it over once more when that is due.

    Args:
        backend: whose jobs they are.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self._changed = threading.Condition()
        self._ended: WeakKeyDictionary[JobRecord, list[Ended]] = WeakKeyDictionary()
        self._waits: dict[str, float] = {}
        self._due: list[tuple[float, str, JobRecord]] = []
        self._launching: set[str] = set()
        self._native_ids: WeakKeyDictionary[JobRecord, str] = WeakKeyDictionary()
        self._cancelled: WeakSet[JobRecord] = WeakSet()
        self._thread: threading.Thread | None = None

    def settled(
        self, outcomes: Mapping[str, Outcome], native_ids: Mapping[str, str | None]
    ) -> Mapping[str, Outcome]:
        """Return what came of those jobs that do not go again."""
        return {
            job_id: outcome
            for job_id, outcome in outcomes.items()
            if outcome.status is not JobStatus.ERROR or not self._goes_again(job_id, outcome)
        }

    def _goes_again(self, job_id: str, outcome: Outcome) -> bool:
        record = self._record(job_id)
        if record is None or record in self._cancelled:
            return False
        ended = self._ended.get(record, [])
        if (
            outcome.reason == "dependency"
            and record.behind is not None
            and record.behind.can_start_still(outcome.lost_result)
        ):
            self._ended[record] = [*ended, (outcome.attempt, "dependency", outcome)]
            self._waits[job_id] = 0.0
            return True
        if record.resources.retries is None:
            return False
        step = next_attempt(record.resources, [why for _, why, _ in ended], outcome, chance=random())
        if step is None or step.kind == "requeue":
            return False
        self._ended[record] = [*ended, (outcome.attempt, step.kind, outcome)]
        self._waits[job_id] = step.wait
        return True

    def _record(self, job_id: str) -> JobRecord | None:
        job: Any = self._backend._tracker.job(job_id)
        return None if job is None else job._record

    def went_back(self, record: JobRecord) -> None:
        """Wait until the next attempt of a job is due, now that its record says so."""
        if self._ended[record][-1][1] == "dependency" and (left := record.behind.begins_anew(record)):
            self._hold(record, left)
            return
        with self._changed:
            due = time.monotonic() + self._waits.pop(record.job_id, 0.0)
            heapq.heappush(self._due, (due, record.job_id, record))
            if self._thread is None:
                self._thread = PluginThread(self._run, "anyjob-attempts")
                self._thread.start()
            self._changed.notify()

    def _hold(self, record: JobRecord, left: tuple[Needed, ...]) -> None:
        """Hold a job in this process until all has come about that it starts after."""
        from anyjob.runtime.dependencies.held_jobs import hold

        record.begins(self._next(record), self._next(record))
        record.after = left
        order = self._backend._order(record, self._backend.job_options(record.resources))
        hold(self._backend, [order], {order.job_id: record})
        record.deferred = False
        self._waits.pop(record.job_id, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._due:
                    self._thread = None
                    return
                pause = self._due[0][0] - time.monotonic()
                if pause > 0:
                    self._changed.wait(pause)
                    continue
                _, job_id, record = heapq.heappop(self._due)
                self._launching.add(job_id)
            self._launch(record)
            del record  # nobody but who holds a handle keeps it while this thread waits

    def _launch(self, record: JobRecord) -> None:
        from anyjob.runtime.submission.late_launch import launch_late
        from anyjob.runtime.submission.launch import rejected

        tracker = self._backend._tracker
        self._native_ids.pop(record, None)
        record.begins(self._next(record), self._next(record))
        retried = sum(why == "retry" for _, why, _ in self._ended[record])
        if record in self._cancelled:
            tracker.end(record, _cancelled(record))
        elif launch_late(self._backend, [record], retried):
            why = "its backend could not be reached when its next attempt was due"
            tracker.end(record, rejected(why))
        with self._changed:
            self._launching.discard(record.job_id)
        if record in self._cancelled and record.outcome is None and record.native_id is not None:
            self._backend.terminate([record.ticket()])

    def launched(self, native_ids: Mapping[str, str], attempts: Mapping[str, int]) -> None:
        """Note what the engine calls the attempts that it was given."""
        for job_id in self._launching.intersection(native_ids):
            record = self._record(job_id)
            if record is not None:
                self._native_ids[record] = native_ids[job_id]

    def deferred(self, job_ids: Sequence[str]) -> Mapping[str, Deferred]:
        """Say when jobs go again, or which attempt the engine has by now.

        Who asks may take in that a job waits when it does not any more: what is said next time mends that.
        """
        records = {job_id: self._record(job_id) for job_id in job_ids}
        with self._changed:
            due = {job_id: at for at, job_id, _ in self._due}
            waits = {*due, *self._waits, *self._launching}
        found = {}
        for job_id, record in records.items():
            if record is None or record not in self._ended:
                found[job_id] = Deferred(True)
                continue
            attempt, message = self._next(record), ""
            if job_id in due:
                policy = record.resources.retries
                of = f" of {1 + policy.times}" if policy is not None else ""
                wait = max(0.0, due[job_id] - time.monotonic())
                message = f"attempt {attempt}{of}, again in {wait:.0f} s"
            native_id = None if job_id in waits else self._native_ids.get(record)
            found[job_id] = Deferred(job_id in waits, message, native_id, attempt, attempt)
        return found

    def _next(self, record: JobRecord) -> int:
        return self._ended[record][-1][0] + 1

    def cancel_deferred(self, job_ids: Sequence[str]) -> Sequence[str]:
        """Cancel jobs whose next attempt is not due yet."""
        wanted = set(job_ids)
        with self._changed:
            taken = [record for _, job_id, record in self._due if job_id in wanted]
            self._due = [each for each in self._due if each[1] not in wanted]
            heapq.heapify(self._due)
        for record in taken:
            record.begins(self._next(record), self._next(record))
            self._backend._tracker.end(record, _cancelled(record))
        return [record.job_id for record in taken]

    def stop_attempts(self, job_ids: Sequence[str]) -> Sequence[str]:
        """Have jobs that are about to be cancelled not go again; return those that are being handed over."""
        records = [self._record(job_id) for job_id in job_ids]
        with self._changed:
            self._cancelled.update(record for record in records if record is not None)
            return [job_id for job_id in job_ids if job_id in self._launching]

    def allow_attempts(self, job_ids: Sequence[str]) -> None:
        """Have jobs that could not be cancelled go again as before."""
        for job_id in job_ids:
            record = self._record(job_id)
            if record is not None:
                self._cancelled.discard(record)

    def ended_attempts(self, job_id: str) -> Sequence[Ended]:
        """Return what came of the attempts that were followed by others."""
        record = self._record(job_id)
        return self._ended.get(record, []) if record is not None else []


def _cancelled(record: JobRecord) -> Outcome:
    return Outcome(status=JobStatus.CANCELLED, attempt=record.attempt, finished=time.time())
