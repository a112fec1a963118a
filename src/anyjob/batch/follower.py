"""Follows jobs from submission to end: by the spool first, and by the scheduler where that does not tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from anyjob.batch import job_outcomes
from anyjob.batch.dialect import Row
from anyjob.batch.files.claims import claim_for_nobody, claimed_by
from anyjob.batch.files.membership import Membership
from anyjob.batch.files.node_reports import end_of_log, read_observed_end, refresh_directory
from anyjob.batch.followed_jobs import FollowedJob, FollowedJobs
from anyjob.batch.queue import Listing, Queue
from anyjob.errors import BackendUnavailableError, StateError
from anyjob.orders import Observation, Ticket
from anyjob.outcome import Outcome
from anyjob.spool.job_spool import read_outcome
from anyjob.status import JOB_FINAL_STATES, JobStatus

MAX_SPOOLS_READ = 100
"""Jobs that are new to us whose spools are read, whatever the journal says."""
CANCELLER_TIMEOUT = 5.0
"""Seconds that the accounting is given to say who has cancelled a job."""


class Follower:
    """Follows the jobs of one backend.

    Args:
        queue: what the scheduler says of them.
        patience: seconds that what a job has left may take to be seen here.
        why: says why a job is stuck.
    """

    def __init__(self, queue: Queue, patience: float, why: Callable[[Row], str]) -> None:
        self._queue = queue
        self._dialect = queue.dialect
        self._patience = patience
        self._why = why
        self.given_up: list[str] = []  # ids of those that the scheduler still has
        self._jobs = FollowedJobs(queue)

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        """Return where jobs are; those that nothing is known of are left out.

        Raises:
            BackendUnavailableError: the scheduler does not answer, and the spool tells nothing new.
        """
        new_tickets = [ticket for ticket in tickets if self._jobs.get(ticket.job_id) is None]
        jobs = self._jobs.follow(tickets)
        if len(new_tickets) <= MAX_SPOOLS_READ:
            for ticket in new_tickets:  # one that somebody asks about may have ended long ago
                jobs[ticket.job_id].outcome = None if ticket.spool is None else _read_outcome(ticket.spool)
        changed = self._jobs.read_journals(jobs)
        open_tickets = [t for t in tickets if not self._has_outcome(t, jobs[t.job_id])]
        found: dict[str, Observation | None] = {
            job_id: _final_observation(job.outcome) for job_id, job in jobs.items() if job.outcome is not None
        }
        if open_tickets:
            try:
                # One that somebody else has submitted is known to the scheduler alone, or to nobody.
                self._queue.refresh(age=0.0 if any(t.spool is None for t in new_tickets) else None)
            except BackendUnavailableError:
                if not changed and not found:
                    raise
                found |= {t.job_id: _observation_by_spool(jobs[t.job_id]) for t in open_tickets}
            else:
                found |= self._observe_by_scheduler(open_tickets, jobs)
        for job_id, observation in found.items():
            jobs[job_id].last_observation = observation
        return {job_id: seen for job_id, seen in found.items() if seen is not None}

    def _has_outcome(self, ticket: Ticket, job: FollowedJob) -> bool:
        """Look for the outcome of a job that is said to have one."""
        if job.outcome is None and job.end_noted and ticket.spool is not None:
            job.outcome = _read_outcome(ticket.spool)
            if job.outcome is None and not job.end_checked:
                job.end_checked = True
                self._queue.invalidate()  # the scheduler may have ended it: it knows why
        return job.outcome is not None

    # --- by the scheduler ---------------------------------------------------------------------

    def _observe_by_scheduler(
        self, tickets: Sequence[Ticket], jobs: Mapping[str, FollowedJob]
    ) -> dict[str, Observation | None]:
        listing = self._queue.listing
        rows = {t.job_id: jobs[t.job_id].row(t, listing) for t in tickets}
        unclear = {t.native_id for t in tickets if self._needs_history(t, rows[t.job_id], jobs[t.job_id])}
        since = min((t.submitted for t in tickets if t.native_id in unclear), default=0.0)
        history = self._queue.history(unclear, since) if unclear else None
        found: dict[str, Observation | None] = {}
        for ticket in tickets:
            row, job = rows[ticket.job_id], jobs[ticket.job_id]
            if row is None and not self._queue.covers(ticket.native_id):
                found[ticket.job_id] = _observation_by_spool(job)
            elif row is None:
                found[ticket.job_id] = self._observe_unlisted(ticket, job, history)
            else:
                job.unlisted_since = None
                found[ticket.job_id] = self._observe_listed(ticket, job, row, history)
        return found

    def _needs_history(self, ticket: Ticket, row: Row | None, job: FollowedJob) -> bool:
        if row is None:
            return self._queue.covers(ticket.native_id)
        return row.status is JobStatus.CANCELLED and not row.cancelled_by and not job.cancelled

    def _observe_listed(
        self, ticket: Ticket, job: FollowedJob, row: Row, history: Listing | None
    ) -> Observation | None:
        if not job_outcomes.has_ended(row):
            job.ended_since = None
            if row.stuck and ticket.spool is not None:
                return self._give_up(ticket, job, row)
            waits = job.membership is not None and job.membership.pack > 1 and not job.started_attempt
            if waits and row.status is JobStatus.RUNNING:
                row = row._replace(status=JobStatus.QUEUED, message="others of its allocation are first")
            return job_outcomes.open_observation(row, job.started_attempt)
        return self._observe_ended(ticket, job, row, history)

    def _give_up(self, ticket: Ticket, job: FollowedJob, row: Row) -> Observation | None:
        """It waits, and will not start: it is not to start any more, whatever somebody does about that."""
        if job.membership is not None and not job.started_attempt:
            claim_for_nobody(job.membership, self._dialect)
        message = f"{self._dialect.title} has put it where it does not start: {self._why(row)}"
        self.given_up.append(ticket.native_id)
        job.outcome = Outcome(
            status=JobStatus.ERROR,
            reason="node-failure",
            message=message,
            attempt=max(row.attempt, job.started_attempt, 1),
        )
        return _final_observation(job.outcome)

    def _observe_ended(
        self, ticket: Ticket, job: FollowedJob, row: Row, history: Listing | None
    ) -> Observation | None:
        """The scheduler says that it has ended."""
        now = time.monotonic()
        if job.ended_since is None:
            job.ended_since = now
        by = row.cancelled_by
        if row.status is JobStatus.CANCELLED and not by and not job.cancelled:
            source = job.row(ticket, history) if history else None
            by = source.cancelled_by if source is not None else ""
            asked_long = now - job.ended_since >= CANCELLER_TIMEOUT
            is_told = source is not None and job_outcomes.has_ended(source)
            if not is_told and self._queue.has_history and not asked_long:
                return _still_open(job, "it was cancelled")
        attempt = max(row.attempt, job.started_attempt, 1)
        ended: dict[str, Any] = {}
        log = root = ""
        told = False
        if ticket.spool is not None:
            refresh_directory(ticket.spool)
            job.outcome = _read_outcome(ticket.spool)
            if job.outcome is not None:
                return _final_observation(job.outcome)
            ended, told = read_observed_end(ticket.spool)
            if ended.get("attempt", 0) < attempt:
                ended, told = {}, False  # that was the attempt before
            lately = now - job.ended_since < self._patience
            if job_outcomes.leaves_outcome(row) and not ended and lately and not job.cancelled:
                return _still_open(
                    job, f"it has ended, and what it has left is not seen yet in {ticket.spool}"
                )
            root = str(ticket.spool.parent.parent)
            if job.membership is not None:
                log = end_of_log(job.membership.log)
        if row.reason in (None, "exit-code", "signal") and row.status is not JobStatus.CANCELLED:
            if job.cancelled:
                row = row._replace(status=JobStatus.CANCELLED, reason=None, message="")
            elif told and self._dialect.end_signals:
                row = row._replace(status=JobStatus.CANCELLED, reason=None, message="by somebody else")
        job.outcome = job_outcomes.outcome(
            row, ended, attempt, title=self._dialect.title, spool=root, log=log, by=by
        )
        return _final_observation(job.outcome)

    def _observe_unlisted(
        self, ticket: Ticket, job: FollowedJob, history: Listing | None
    ) -> Observation | None:
        """The scheduler does not list it (any more)."""
        now = time.monotonic()
        if job.unlisted_since is None:
            job.unlisted_since = now
        if ticket.spool is not None:
            refresh_directory(ticket.spool)
            job.outcome = _read_outcome(ticket.spool)
            if job.outcome is not None:
                return _final_observation(job.outcome)
        row = job.row(ticket, history) if history is not None else None
        if row is not None and job_outcomes.has_ended(row):
            return self._observe_ended(ticket, job, row, history)
        if history is None:  # nobody was asked: it is not known to be unknown
            is_away = self._queue.history_is_away
            why = "the accounting does not answer" if is_away else "not in the accounting yet"
            return _still_open(job, f"it is not in the queue any more, and {why}")
        return self._observe_unknown(ticket, job, history, now - job.unlisted_since)

    def _observe_unknown(
        self, ticket: Ticket, job: FollowedJob, history: Listing, since: float
    ) -> Observation | None:
        """Neither queue nor history know it. Some schedulers forget what is cancelled while it waits."""
        waited_long = since >= self._patience
        if ticket.spool is None:
            if job.cancelled and waited_long:
                job.outcome = Outcome(status=JobStatus.CANCELLED)
            return _final_observation(job.outcome)
        if not self._queue.has_history:
            ended, _ = read_observed_end(ticket.spool)
            if ended.get("attempt", 0) >= max(job.started_attempt, 1):  # nobody else has a verdict
                row = Row(ticket.native_id, JobStatus.ERROR, reason="signal")
                return self._observe_ended(ticket, job, row, None)
        member = job.membership
        started = member is not None and claimed_by(member, self._dialect) is not None
        by = ""
        if not job.cancelled:
            is_task = self._dialect.split_id(ticket.native_id)[1] is not None
            known = any(each.knows_array(ticket.native_id) for each in (self._queue.listing, history))
            is_forgotten = self._dialect.forgets_deleted or (is_task and known)
            if member is None or started or not (is_forgotten and waited_long):
                return None
            by = f"while it waited, by somebody else: {self._dialect.title} keeps no record of that"
        elif started and not waited_long:
            return None
        if member is not None and not started and claim_for_nobody(member, self._dialect) is not None:
            return None  # it has started after all
        job.outcome = Outcome(status=JobStatus.CANCELLED, message=by)
        return _final_observation(job.outcome)

    def has_lost_its_id(self, tickets: Sequence[Ticket]) -> set[str]:
        """Return which of these the scheduler has another job for, under the id that they had."""
        listing, others = self._queue.listing, set()
        jobs = self._jobs.follow(tickets)
        for ticket in tickets:
            job = jobs[ticket.job_id]
            if listing.get(ticket.native_id) is not None and job.row(ticket, listing) is None:
                others.add(ticket.job_id)
        return others

    def packed(self, tickets: Sequence[Ticket]) -> list[tuple[Ticket, Membership]]:
        """Return those of these that share their task with jobs which are to go on."""
        chosen: dict[tuple[Path, int], list[tuple[Ticket, Membership]]] = {}
        jobs = self._jobs.follow(tickets)
        for ticket in tickets:
            member = jobs[ticket.job_id].membership
            if member is not None and member.pack > 1:
                chosen.setdefault((member.submission, member.task), []).append((ticket, member))
        return [pair for some in chosen.values() if len(some) < some[0][1].pack for pair in some]

    # --- ends ---------------------------------------------------------------------------------

    def hold_back(self, tickets: Sequence[Ticket]) -> None:
        """What of these has not begun by now does not begin any more."""
        for job in self._jobs.follow(tickets).values():
            if job.membership is not None:
                claim_for_nobody(job.membership, self._dialect)

    def cancelled(self, tickets: Sequence[Ticket]) -> None:
        """Note that these are being cancelled by us, for all that follow them."""
        self._jobs.cancelled(tickets)

    def collect(
        self, tickets: Sequence[Ticket], read: Callable[[Sequence[Ticket]], Mapping[str, Outcome]]
    ) -> dict[str, Outcome]:
        """Return what came of jobs, and forget those that have ended.

        Args:
            tickets: jobs that have ended, or that nothing is known of.
            read: reads spools.
        """
        found: dict[str, Outcome] = {}
        unknown = []
        for ticket in tickets:
            job = self._jobs.get(ticket.job_id)
            if job is not None and job.outcome is not None:
                found[ticket.job_id] = job.outcome
            else:
                unknown.append(ticket)
        found.update(read(unknown))
        self._jobs.forget(found)
        return found


def _read_outcome(directory: Path) -> Outcome | None:
    try:
        return read_outcome(directory)
    except StateError as error:  # somebody has laid a file of theirs there
        return Outcome(status=JobStatus.ERROR, reason="exception", message=str(error))


def _final_observation(outcome: Outcome | None) -> Observation | None:
    if outcome is None:
        return None
    assert outcome.status in JOB_FINAL_STATES
    return Observation(outcome.status, outcome.reason, outcome.message, attempt=outcome.attempt)


def _observation_by_spool(job: FollowedJob) -> Observation:
    """Where a job is as far as the spool, and what the scheduler last said, tell."""
    if job.started_attempt and (
        job.last_observation is None or job.last_observation.attempt <= job.started_attempt
    ):
        return Observation(JobStatus.RUNNING, attempt=job.started_attempt)
    return job.last_observation or Observation(JobStatus.QUEUED)


def _still_open(job: FollowedJob, message: str) -> Observation:
    """It has ended, or gone, and why is yet to be seen: for those who wait it goes on."""
    last = _observation_by_spool(job)
    return Observation(last.status, message=message, attempt=last.attempt)
