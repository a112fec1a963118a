"""Hands jobs to their engines: each is claimed in the ledger before, by one releaser alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from anyjob.builtin.local.error_log import log_error
from anyjob.errors import BackendError, BackendUnavailableError
from anyjob.ledger.releasing.releases import Releases
from anyjob.ledger.rows import FINAL, Row
from anyjob.outputs.attempt_files import attempt_id
from anyjob.releaser.readings import Readings
from anyjob.runtime.submission.late_launch import launch_late
from anyjob.runtime.submission.launch import rejected
from anyjob.session.backends.ledger_backends import LedgerBackends
from anyjob.session.backends.missing_backends import DeferredBackend, MissingBackend
from anyjob.session.facade import Session
from anyjob.status import backoff

TOGETHER = 1000
"""Jobs that are claimed at a time, at most."""
LONGEST = 60.0
"""Seconds after which an engine that is away is tried again, at most."""


class Handover:
    """What is done with the jobs that a releaser has claimed, or one before it that was killed.

    Args:
        session: whose backends are used.
        releases: what the ledger knows of it.
        releaser: what claims are made under.
        readings: what the call of a job is read within.
    """

    def __init__(self, session: Session, releases: Releases, releaser: str, readings: Readings) -> None:
        self._session = session
        self._releases = releases
        self._releaser = releaser
        self._reading = readings
        self._backends = LedgerBackends(session)
        self._away: dict[int, tuple[int, float]] = {}
        self._is_clean = False

    def go_on(self, bulks: Sequence[int]) -> bool:
        """Hand over what there is in these bulks; tell whether anything is left for later."""
        if not self._is_clean:
            self._is_clean = self._recover()
            if not self._is_clean:
                return True
        is_left = False
        for bulk in bulks:
            while job_ids := self._claim(bulk):
                left = self._hand_over(job_ids)
                if left:
                    break
            is_left |= self._away.get(bulk, (0, 0.0))[0] > 0
        return is_left

    def _claim(self, bulk: int) -> list[str]:
        if self._away.get(bulk, (0, 0.0))[1] > time.monotonic():
            return []
        return self._releases.claim([bulk], self._releaser, TOGETHER)

    def _hand_over(self, job_ids: Sequence[str]) -> list[str]:
        """Hand over jobs of one bulk; return those that are left, since their engine is away."""
        rows = self._session.ledger.rows(job_ids)
        first = rows[job_ids[0]]
        try:
            backend = self._backend(first)
        except BackendUnavailableError as error:
            self._is_away(first.bulk, error)
            self._releases.give_back(job_ids)
            return list(job_ids)
        retried = self._session.ledger.attempts.retried_often(job_ids)
        records = [self._record(backend, rows[job_id], job_id in retried) for job_id in job_ids]
        if isinstance(backend, MissingBackend):
            for record in records:
                backend._tracker.end(record, rejected(f"its backend cannot be made any more: {backend.why}"))
            left: list[str] = []
        else:
            left = []
            for times in {retried.get(job_id, 0) for job_id in job_ids}:
                some = [record for record in records if retried.get(record.job_id, 0) == times]
                left += launch_late(backend, some, times, self._reading)
        self._settle(backend, [job_id for job_id in job_ids if job_id not in set(left)])
        if left:
            self._is_away(first.bulk, None)
            for record in records:
                record.deferred = record.outcome is None and record.native_id is None
            self._releases.give_back(left)
        else:
            self._away.pop(first.bulk, None)
        return left

    @staticmethod
    def _record(backend: Any, row: Row, is_retried: bool) -> Any:
        """Return the record of a job that is to be handed over, which may be known from an attempt before."""
        record = backend.recall(row)._record
        if is_retried:
            record.begins(row.attempt, row.attempt)
            record.native_id, record.unsure = None, False
        return record

    def _backend(self, row: Row) -> Any:
        backend = self._backends.of(row)
        return backend.real() if isinstance(backend, DeferredBackend) else backend

    def _settle(self, backend: Any, job_ids: Sequence[str]) -> None:
        """The engine has these jobs, or they have ended; those that were to be cancelled meanwhile are."""
        cancelled = self._releases.handed_over(job_ids)
        if cancelled:
            rows = self._session.ledger.rows(cancelled)
            backend.cancel_many([backend.recall(row) for row in rows.values()])

    def _is_away(self, bulk: int, error: BaseException | None) -> None:
        failures = self._away.get(bulk, (0, 0.0))[0] + 1
        if failures == 1:
            log_error(
                f"jobs cannot be handed over now, which is tried again: {error or 'the engine is away'}"
            )
        self._away[bulk] = failures, time.monotonic() + backoff(failures, ceiling=LONGEST)

    # --- after a kill -------------------------------------------------------------------------

    def _recover(self) -> bool:
        """See to the jobs that a releaser of these surroundings had claimed when it was killed.

        Returns:
            whether that is done; False where an engine is away.
        """
        job_ids = self._releases.claimed(self._releaser)
        rows = self._session.ledger.rows(job_ids)
        over = [job_id for job_id in job_ids if _is_over(rows[job_id])]
        if over:
            self._releases.handed_over(over)
        open_rows = [rows[job_id] for job_id in job_ids if job_id not in set(over)]
        is_done = True
        for some in _by_backend(open_rows):
            try:
                self._find_out(self._backend(some[0]), [row.job_id for row in some])
            except BackendError as error:
                log_error(f"whether jobs were handed over is not known yet: {error}")
                is_done = False
        return is_done

    def _find_out(self, backend: Any, job_ids: Sequence[str]) -> None:
        """Find out which of these jobs the engine has; the others are handed over anew, where that is safe.

        Raises:
            BackendError: the engine cannot be asked.
        """
        launched = self._session.ledger.attempts.retried_often(job_ids)
        rows = self._session.ledger.rows(list(launched))
        theirs = {i: attempt_id(i, rows[i].attempt) if i in rows else i for i in job_ids}
        ours = {each: job_id for job_id, each in theirs.items()}
        there = {ours[i]: native for i, native in backend.find(list(ours)).items() if i in ours}
        missing = [job_id for job_id in job_ids if job_id not in there]
        if missing and backend.relaunches:
            started = backend.renounce([theirs[job_id] for job_id in missing])
            there.update({ours[i]: native for i, native in started.items()})
            self._releases.give_back([job_id for job_id in missing if job_id not in there])
        elif missing:  # they are taken for lost in the end, lest they run twice
            self._releases.handed_over(missing)
        if there:
            self._session.ledger.launched(there, {job_id: row.attempt for job_id, row in rows.items()})
            self._settle(backend, list(there))


def _is_over(row: Row) -> bool:
    return row.native_id is not None or row.state >= 0 or row.state >= FINAL


def _by_backend(rows: Iterable[Row]) -> list[list[Row]]:
    groups: dict[int, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.backend, []).append(row)
    return list(groups.values())
