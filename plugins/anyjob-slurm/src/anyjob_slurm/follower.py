"""Follows jobs from their submission to their end, by the spool first and by Slurm where that is silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from anyjob.errors import BackendUnavailableError, StateError
from anyjob.execution import spool
from anyjob.orders import Observation, Ticket
from anyjob.specs import Outcome
from anyjob.status import JOB_FINAL_STATES, JobStatus
from anyjob_slurm import outcomes, submission
from anyjob_slurm.parsing import Row, split_id
from anyjob_slurm.queue import Listing, Queue
from anyjob_slurm.submission import Journal, Membership

FEW = 100
"""Jobs that are new to us whose spools are looked into, whatever the journal says."""
BY_WHOM = 5.0
"""Seconds that the accounting is given to say who has cancelled a job."""


class Batch:
    """A submission that is followed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = submission.size(path)
        self.journal = Journal(path)
        self.traces: dict[int, Trace] = {}
        self.settled: set[int] = set()


class Trace:
    """What is known of one job that has not ended."""

    __slots__ = (
        "batch",
        "cancelled",
        "doubted",
        "ended",
        "gone",
        "last",
        "member",
        "outcome",
        "over",
        "started",
    )

    def __init__(self, member: Membership | None, batch: Batch | None) -> None:
        self.member = member
        self.batch = batch
        self.started = 0
        self.ended = False
        self.cancelled = False
        self.doubted = False
        self.over: float | None = None  # since when Slurm says that it has ended
        self.gone: float | None = None  # since when Slurm does not list it
        self.last: Observation | None = None
        self.outcome: Outcome | None = None


class Follower:
    """Follows the jobs of one backend.

    Args:
        queue: what Slurm says of them.
        patience: seconds that what a job has left may take to be seen here.
    """

    def __init__(self, queue: Queue, patience: float) -> None:
        self._queue = queue
        self._patience = patience
        self._traces: dict[str, Trace] = {}
        self._batches: dict[Path, Batch] = {}

    # --- by the spool -------------------------------------------------------------------------

    def _trace(self, ticket: Ticket) -> Trace:
        trace = self._traces.get(ticket.job_id)
        if trace is None:
            member = None if ticket.spool is None else submission.membership(ticket.spool)
            batch = None if member is None else self._batch(member.submission)
            trace = self._traces[ticket.job_id] = Trace(member, batch)
            if not self._queue.has_launched(ticket.native_id):
                self._queue.hurry()  # what was said of it, if anything, may be old
            if member is not None and batch is not None:
                batch.traces[member.place] = trace
                batch.journal = Journal(batch.path)  # read once more, for one that comes later
        return trace

    def _batch(self, path: Path) -> Batch:
        batch = self._batches.get(path)
        if batch is None:
            batch = self._batches[path] = Batch(path)
        return batch

    def _read_journals(self, traces: Mapping[str, Trace]) -> bool:
        """Take in what the nodes have noted; return whether there was anything new."""
        news = False
        for batch in {trace.batch for trace in traces.values() if trace.batch is not None}:
            if batch.journal.is_gone():
                for ended in list(batch.traces.values()):
                    ended.ended = True
            for letter, number, attempt in batch.journal.news():
                trace = batch.traces.get(number)
                if trace is None:
                    continue
                if letter == "S" and attempt > trace.started:
                    trace.started, trace.ended, news = attempt, False, True
                elif letter == "E" and not trace.ended:
                    trace.ended, news = True, True
                elif letter == "X" and not trace.cancelled:
                    trace.cancelled = True
                    self._queue.hurry()
        if news:
            self._queue.heard()
        return news

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        """Return where jobs are; those that nothing is known of are left out.

        Raises:
            BackendUnavailableError: Slurm does not answer, and the spool tells nothing new.
        """
        strangers = [ticket for ticket in tickets if ticket.job_id not in self._traces]
        traces = {ticket.job_id: self._trace(ticket) for ticket in tickets}
        if len(strangers) <= FEW:
            for ticket in strangers:  # one that somebody asks about may have ended long ago
                traces[ticket.job_id].outcome = None if ticket.spool is None else _read(ticket.spool)
        news = self._read_journals(traces)
        open_tickets = [t for t in tickets if not self._has_left(t, traces[t.job_id])]
        found: dict[str, Observation | None] = {
            job_id: _final(trace.outcome) for job_id, trace in traces.items() if trace.outcome is not None
        }
        if open_tickets:
            try:
                # One that somebody else has submitted is known to Slurm alone, or to nobody.
                self._queue.refresh(age=0.0 if any(t.spool is None for t in strangers) else None)
            except BackendUnavailableError:
                if not news and not found:
                    raise
                found |= {t.job_id: _by_spool(traces[t.job_id]) for t in open_tickets}
            else:
                found |= self._by_slurm(open_tickets, traces)
        for job_id, observation in found.items():
            traces[job_id].last = observation
        return {job_id: seen for job_id, seen in found.items() if seen is not None}

    def _has_left(self, ticket: Ticket, trace: Trace) -> bool:
        """Look for the outcome of a job that is said to have one."""
        if trace.outcome is None and trace.ended and ticket.spool is not None:
            trace.outcome = _read(ticket.spool)
            if trace.outcome is None and not trace.doubted:
                trace.doubted = True
                self._queue.hurry()  # Slurm may have ended it: it knows why
        return trace.outcome is not None

    # --- by Slurm -----------------------------------------------------------------------------

    def _by_slurm(
        self, tickets: Sequence[Ticket], traces: Mapping[str, Trace]
    ) -> dict[str, Observation | None]:
        listing = self._queue.listing
        rows = {t.job_id: listing.get(t.native_id) for t in tickets}
        unclear = [t.native_id for t in tickets if self._needs_history(t, rows[t.job_id], traces[t.job_id])]
        history = self._queue.history(unclear) if unclear else None
        found: dict[str, Observation | None] = {}
        for ticket in tickets:
            row, trace = rows[ticket.job_id], traces[ticket.job_id]
            if row is None and not self._queue.covers(ticket.native_id):
                found[ticket.job_id] = _by_spool(trace)
            elif row is None:
                found[ticket.job_id] = self._gone(ticket, trace, history)
            else:
                trace.gone = None
                found[ticket.job_id] = self._listed(ticket, trace, row, history)
        return found

    def _needs_history(self, ticket: Ticket, row: Row | None, trace: Trace) -> bool:
        if row is None:
            return self._queue.covers(ticket.native_id)
        return row.state == "CANCELLED" and not trace.cancelled

    def _listed(self, ticket: Ticket, trace: Trace, row: Row, history: Listing | None) -> Observation | None:
        if not outcomes.is_over(row):
            trace.over = None
            return outcomes.under_way(row, trace.started)
        return self._over(ticket, trace, row, history)

    def _over(self, ticket: Ticket, trace: Trace, row: Row, history: Listing | None) -> Observation | None:
        """Slurm says that it has ended."""
        now = time.monotonic()
        if trace.over is None:
            trace.over = now
        by = ""
        if row.state.startswith("CANCELLED") and not trace.cancelled:
            told = row if " by " in row.state else history.get(ticket.native_id) if history else None
            by = outcomes.canceller(told)
            if not by and self._queue.has_accounting and now - trace.over < BY_WHOM:
                return _waits(trace, "it was cancelled")
        attempt = max((row.restarts or 0) + 1, trace.started, 1)
        ended: dict[str, Any] = {}
        log = root = ""
        if ticket.spool is not None:
            submission.refresh(ticket.spool)
            trace.outcome = _read(ticket.spool)
            if trace.outcome is not None:
                return _final(trace.outcome)
            ended = submission.read_end(ticket.spool)
            if ended.get("attempt", 0) < attempt:
                ended = {}  # that was the attempt before
            lately = now - trace.over < self._patience
            if outcomes.leaves_outcome(row) and not ended and lately and row.why != "JobLaunchFailure":
                return _waits(trace, f"it has ended, and what it has left is not seen yet in {ticket.spool}")
            root = str(ticket.spool.parent.parent)
            if trace.member is not None:
                log = submission.end_of_log(trace.member.log)
        trace.outcome = outcomes.outcome(row, ended, attempt, spool=root, log=log, by=by)
        return _final(trace.outcome)

    def _gone(self, ticket: Ticket, trace: Trace, history: Listing | None) -> Observation | None:
        """Slurm does not list it (any more)."""
        now = time.monotonic()
        if trace.gone is None:
            trace.gone = now
        if ticket.spool is not None:
            submission.refresh(ticket.spool)
            trace.outcome = _read(ticket.spool)
            if trace.outcome is not None:
                return _final(trace.outcome)
        row = history.get(ticket.native_id) if history is not None else None
        if row is not None and outcomes.is_over(row):
            return self._over(ticket, trace, row, history)
        if history is None:  # nobody was asked: it is not known to be unknown
            return _waits(trace, "it is not in the queue any more, and the accounting does not answer")
        return self._vanished(ticket, trace, history, now - trace.gone)

    def _vanished(self, ticket: Ticket, trace: Trace, history: Listing, since: float) -> Observation | None:
        """Neither queue nor accounting know it. Slurm forgets tasks that are cancelled while they wait."""
        if trace.member is None or ticket.spool is None:
            return None
        patient = since >= self._patience
        started = submission.holder(ticket.spool) is not None
        by = ""
        if not trace.cancelled:
            is_task = split_id(ticket.native_id)[1] is not None
            known = any(each.knows_array(ticket.native_id) for each in (self._queue.listing, history))
            if started or not (is_task and known and patient):
                return None
            by = "while it waited, by somebody else: Slurm keeps no record of that for a task of an array"
        elif started and not patient:
            return None
        if not started and submission.withhold(ticket.spool) is not None:
            return None  # it has started after all
        trace.outcome = Outcome(status=JobStatus.CANCELLED, message=by)
        return _final(trace.outcome)

    # --- ends ---------------------------------------------------------------------------------

    def cancelled(self, tickets: Sequence[Ticket]) -> None:
        """Note that these are being cancelled by us, for all that follow them."""
        numbers: dict[Batch, list[int]] = {}
        for ticket in tickets:
            trace = self._trace(ticket)
            trace.cancelled = True
            if trace.member is not None and trace.batch is not None:
                numbers.setdefault(trace.batch, []).append(trace.member.place)
        for batch, some in numbers.items():
            batch.journal.add("X", some)
        self._queue.hurry()

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
            trace = self._traces.get(ticket.job_id)
            if trace is not None and trace.outcome is not None:
                found[ticket.job_id] = trace.outcome
            else:
                unknown.append(ticket)
        found.update(read(unknown))
        self._forget(found)
        return found

    def _forget(self, job_ids: Mapping[str, Outcome]) -> None:
        """Let go of what was kept for jobs; the last of a submission takes its directory along."""
        for job_id in job_ids:
            trace = self._traces.pop(job_id, None)
            if trace is None or trace.member is None or trace.batch is None:
                continue
            batch, place = trace.batch, trace.member.place
            batch.traces.pop(place, None)
            batch.settled.add(place)
            if len(batch.settled) == batch.size:
                submission.remove(batch.path)
            if not batch.traces:
                self._batches.pop(batch.path, None)


def _read(directory: Path) -> Outcome | None:
    try:
        return spool.read_outcome(directory)
    except StateError as error:  # somebody has laid a file of theirs there
        return Outcome(status=JobStatus.ERROR, reason="exception", message=str(error))


def _final(outcome: Outcome | None) -> Observation | None:
    if outcome is None:
        return None
    assert outcome.status in JOB_FINAL_STATES
    return Observation(outcome.status, outcome.reason, outcome.message, attempt=outcome.attempt)


def _by_spool(trace: Trace) -> Observation:
    """Where a job is as far as the spool, and what Slurm last said, tell."""
    if trace.started and (trace.last is None or trace.last.attempt <= trace.started):
        return Observation(JobStatus.RUNNING, attempt=trace.started)
    return trace.last or Observation(JobStatus.QUEUED)


def _waits(trace: Trace, words: str) -> Observation:
    """It has ended, or gone, and why is yet to be seen: for those who wait it goes on."""
    last = _by_spool(trace)
    return Observation(last.status, message=words, attempt=last.attempt)
