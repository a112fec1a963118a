"""Asks a task backend where its jobs are: about many at a time, and with one question under way at most."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from anyjob.errors import BackendError, BackendUnavailableError
from anyjob.orders import Observation
from anyjob.process.forks import in_each_process
from anyjob.status import JOB_FINAL_STATES, JobStatus, as_status
from anyjob.tracking.outcome_collector import OutcomeCollector
from anyjob.tracking.threads.notifying_threads import telling

if TYPE_CHECKING:
    from anyjob.orders import Ticket
    from anyjob.tracking.engine import Engine
    from anyjob.tracking.records import JobRecord, JobTable
    from anyjob.tracking.transitions import Transitions

AGAIN = 2.0
"""Seconds for which a job is looked for in vain, until it is handed over anew where that does no harm."""
CHUNK = 1000
"""How many jobs one question to an engine is about, at most."""


class BulkQuery:
    """Asks the engine, and has what it says taken in.

    Whoever asks while a question is under way takes part in the next. A backend whose floor is 0 answers
    from memory: it is asked about single jobs, in the thread that wants to know.

    Args:
        backend: whose jobs they are.
        jobs: the records of these.
        transitions: takes in what has changed.
        teller: who tells of them, for `anyjob.tracking.threads.notifying_threads`.

    Attributes:
        under_way: held while a backend is asked that has a floor.
        repeat: called with the records that could not be asked about, or taken in.
    """

    def __init__(self, backend: Engine, jobs: JobTable, transitions: Transitions, teller: object) -> None:
        self._teller = teller
        self.repeat: Callable[[list[JobRecord]], None] = lambda records: None
        self._backend = backend
        self._jobs = jobs
        self._transitions = transitions
        self._outcomes = OutcomeCollector(backend, jobs, transitions)
        self._unavailable: tuple[float, BackendUnavailableError] | None = None
        in_each_process(self._make_own)

    def _make_own(self) -> None:
        self.under_way = threading.RLock()  # a hook that it calls may ask about another job
        # What was learnt, and could not be written yet: an engine may say it only once.
        self._moved: list[tuple[JobRecord, JobStatus, JobStatus]] = []

    def status(self, record: JobRecord) -> JobStatus:
        """Return where a job is, by the next bulk question or an answer younger than the floor.

        Raises whatever the backend's ``observe`` raises.
        """
        if not _may_be_asked(record):
            return record.status
        called = time.monotonic()
        floor = self._backend.floor
        if not floor:
            self.ask([record])
        elif called - record.asked_at > floor:
            with self.under_way:
                # Whoever held the lock may have asked for us after we came.
                if record.asked_at < called and time.monotonic() - record.asked_at > floor:
                    self._ask_all()
        return record.status

    def update(self, records: Iterable[JobRecord]) -> None:
        """Have it known where jobs are, by the next bulk questions or answers younger than the floor.

        Raises whatever the backend's ``observe`` raises.
        """
        if self._backend.floor:
            for record in records:
                self.status(record)  # the first asks about all of them
        else:
            self.ask([record for record in records if _may_be_asked(record)])

    def _ask_all(self) -> None:
        """Ask about every job that has not ended; not so soon after the engine could not be reached."""
        if self._unavailable is not None:
            since, error = self._unavailable
            if time.monotonic() - since <= self._backend.floor:
                raise BackendUnavailableError(str(error)) from error
        self.ask(self._jobs.active_records())

    def ask(self, records: list[JobRecord]) -> bool:
        """Ask the engine about these, and take in what it says. Return whether anything changed.

        Where that fails, whoever else waits for them is asked for anew.
        """
        try:
            if self._backend.answers_from_memory:  # by many threads, each of which may wait for another
                return self._ask(records)
            with telling(self._teller):
                return self._ask(records)
        except BaseException:
            self.repeat(records)
            raise

    def _ask(self, records: list[JobRecord]) -> bool:
        changed = False
        try:
            for chunk in _chunks([record for record in records if record.deferred]):
                changed |= self._look_up(chunk, time.monotonic())
            for chunk in _chunks([record for record in records if record.unsure]):
                changed |= self._find(chunk, time.monotonic())
            for chunk in _chunks([record for record in records if record.native_id is not None]):
                changed |= self._observe(chunk, time.monotonic())
        except BackendUnavailableError as error:
            self._unavailable = time.monotonic(), error
            for record in records:
                if not record.unsure:
                    record.missing_since = None  # what is not asked does not count as not known
            raise
        self._unavailable = None
        return changed

    def _observe(self, records: list[JobRecord], now: float) -> bool:
        """Ask where jobs are that the engine has taken."""
        tickets = [record.ticket() for record in records]
        seen = self._backend.observe(tickets)
        moved: list[tuple[JobRecord, JobStatus, JobStatus]] = []
        ended: list[tuple[JobRecord, Ticket, Observation | None]] = []
        missing: list[tuple[JobRecord, Ticket]] = []
        for record, ticket in zip(records, tickets, strict=True):
            if not record.has(ticket):
                continue  # the next attempt is being handed over: what is said is of the one before
            record.asked_at = now
            observation = seen.get(ticket.job_id)
            if observation is None:
                missing.append((record, ticket))
                continue
            if not isinstance(observation, Observation):
                raise BackendError(
                    f"observe() of {type(self._backend).__qualname__} gave {observation!r:.80} for job "
                    f"{record.job_id}: it gives an Observation for each job that the engine knows"
                )
            record.missing_since, record.heard_at = None, now
            status = as_status(observation.status, record.job_id)
            if status in JOB_FINAL_STATES:
                ended.append((record, ticket, observation))
                continue
            if record.launched_attempt > 1:
                number = observation.attempt + record.launched_attempt - 1
                observation = replace(observation, attempt=number)
            if (old := self._transitions.observed(record, status, observation)) is not None:
                moved.append((record, old, status))
        gone: Collection[str] = ()
        if missing:
            from anyjob.tracking import lost_jobs

            gone = self._gone_on([record for record, _ in missing], now)
            for record, ticket in missing:
                if record.job_id not in gone:
                    ended.append((record, ticket, lost_jobs.unknown(self._backend, record, now)))
        self._move(moved)
        return self._outcomes.collect(ended) or bool(moved or gone)

    def _gone_on(self, missing: list[JobRecord], now: float) -> Collection[str]:
        """Take in which of these jobs, unknown to the engine, have ended or go again as others have seen."""
        gone = self._backend.recorder.gone_on({record.job_id: record.native_id for record in missing})
        if gone:
            self._look_up([record for record in missing if record.job_id in gone], now)
        return gone

    def _move(self, moved: list[tuple[JobRecord, JobStatus, JobStatus]]) -> None:
        """Write, and then tell, that jobs are elsewhere; those too that could not be written before."""
        with self._jobs.lock:
            moved, self._moved = self._moved + moved, []
        if not moved:
            return
        try:
            self._backend.recorder.moved([(record, status) for record, _, status in moved])
        except BaseException:
            with self._jobs.lock:
                self._moved = moved + self._moved
            raise
        for record, old, status in moved:
            self._transitions.notify(record, old, status)

    def _look_up(self, records: list[JobRecord], now: float) -> bool:
        """See what has become of jobs that start after others, and that the engine has not been given yet."""
        changed = False
        found = self._backend.recorder.deferred([record.job_id for record in records])
        for record in records:
            record.asked_at = record.heard_at = now
            seen = found[record.job_id]
            if seen.outcome is not None:
                record.deferred, record.native_id = False, seen.native_id
                record.begins(seen.attempt, seen.launched_attempt)
                self._transitions.settle(record, seen.outcome)
            elif seen.waits:
                record.deferred, record.native_id, record.missing_since = True, None, None
                self._transitions.observed(
                    record,
                    JobStatus.QUEUED,
                    Observation(JobStatus.QUEUED, message=seen.message, attempt=seen.attempt),
                )
                continue
            elif seen.native_id is not None:
                record.deferred, record.missing_since = False, None
                record.begins(seen.attempt, seen.launched_attempt)
                self._transitions.launched(record, seen.native_id)
            else:
                record.deferred, record.unsure, record.missing_since = False, True, now
                record.begins(seen.attempt, seen.launched_attempt)
            changed = True
        return changed

    def _find(self, records: list[JobRecord], now: float) -> bool:
        """Look for jobs that the engine may have or not."""
        ours = {record.attempt_id: record.job_id for record in records}
        found = {ours[i]: native for i, native in self._backend.find(list(ours)).items() if i in ours}
        missed = [record for record in records if record.job_id not in found]
        again: list[JobRecord] = []
        late: list[JobRecord] = []
        grace = self._backend.grace
        for record in missed:
            may_again = self._backend._may_launch_again(record)
            if now - (record.missing_since or now) >= (min(grace, AGAIN) if may_again else grace):
                (again if may_again else late).append(record)
        if again or late:
            busy = self._backend.recorder.being_handed_over([record.job_id for record in (*again, *late)])
            again = [record for record in again if record.job_id not in busy]
            late = [record for record in late if record.job_id not in busy]
        if again:  # who was to hand them over may have been killed before
            found.update(self._backend._launch_again(again))
        if late:
            theirs = self._backend.renounce([record.attempt_id for record in late])
            found.update({ours[i]: native for i, native in theirs.items()})
        native_ids = {record.job_id: found[record.job_id] for record in records if record.job_id in found}
        if native_ids:
            later = {r.job_id: r.launched_attempt for r in records if r.launched_attempt > 1}
            self._backend.recorder.launched(native_ids, later)
        for record in records:
            record.asked_at = now
            if record.job_id in native_ids:
                record.unsure, record.missing_since = False, None
                self._transitions.launched(record, native_ids[record.job_id])
            elif record in late:
                self._transitions.not_found(record)
        return bool(native_ids or late)


def _may_be_asked(record: JobRecord) -> bool:
    return record.outcome is None and (record.native_id is not None or record.unsure or record.deferred)


def _chunks(records: list[JobRecord]) -> Iterator[list[JobRecord]]:
    return (records[start : start + CHUNK] for start in range(0, len(records), CHUNK))
