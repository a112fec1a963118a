"""Holds the ledger against a keeper's log: what runs, what has ended unheard, and what is lost."""

from __future__ import annotations

from anyjob.builtin.local.keeper.log.lines import ReplayedLog
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.jobs import outcomes
from anyjob.builtin.local.supervisor.jobs.scheduled_job import ScheduledJob
from anyjob.builtin.local.supervisor.ledger_writer import LedgerWriter
from anyjob.builtin.local.supervisor.scheduling.scheduler import Scheduler
from anyjob.ledger.rows import FINAL, Row
from anyjob.ledger.store import Ledger
from anyjob.status import JobStatus


class Reconciliation:
    """What is done when a supervisor meets a keeper, or the log of one that is dead.

    Args:
        ledger: what is to be made true.
        writer: what writes to it.
        scheduler: what is to know which jobs run.
        paths: where spools are.
    """

    def __init__(
        self, ledger: Ledger, writer: LedgerWriter, scheduler: Scheduler, paths: RuntimePaths
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._scheduler = scheduler
        self._paths = paths

    def with_keeper(self, log: ReplayedLog) -> list[str]:
        """Adopt what a keeper runs that is alive, and account for all else.

        Returns:
            The jobs that it runs of which a cancel was accepted: it may not have heard of that.
        """
        return self._reconcile(log, alive=True)

    def with_dead_keeper(self, log: ReplayedLog) -> None:
        """Account for all that a keeper had that is dead: what ran is lost."""
        self._reconcile(log, alive=False)

    def _reconcile(self, log: ReplayedLog, *, alive: bool) -> list[str]:
        scheduler, writer = self._scheduler, self._writer
        scheduler.forget_running()
        rows = self._ledger.rows(list({**log.ended, **log.running, **log.held}))
        for job_id, row in rows.items():
            ended, run = log.ended.get(job_id), log.running.get(job_id)
            if not scheduler.is_here(row.backend):
                continue
            devices = log.held.get(job_id, ())
            if alive and devices and run is None:
                scheduler.hold(row, devices)
            if row.state >= FINAL:
                continue
            queue = scheduler.queue(row.backend)
            if run is not None and run["attempt"] == row.attempt:
                if alive:
                    scheduler.adopt(row, devices)
                    writer.move(job_id, JobStatus.RUNNING, row.attempt, run["time"])
                else:
                    self._lost(queue.job(row), row)
            elif ended is not None and ended["attempt"] == row.attempt:
                writer.end(job_id, outcomes.from_event(ended, queue.job(row), self._paths), row.bulk)
        writer.write()
        cancelling = []
        for number in self._ledger.queue.open_backends(self._paths.host):
            for row in self._ledger.rows(self._ledger.queue.being_cancelled(number)).values():
                if scheduler.running(row.job_id) is not None:
                    cancelling.append(row.job_id)
                elif row.status is not JobStatus.RUNNING:
                    writer.end(row.job_id, outcomes.cancelled(row.attempt), row.bulk)
            ids = [job_id for job_id, _ in self._ledger.queue.in_state(number, JobStatus.RUNNING)]
            rows = self._ledger.rows([job_id for job_id in ids if scheduler.running(job_id) is None])
            for row in rows.values():
                self._lost(scheduler.queue(number).job(row), row)
        writer.write()
        return cancelling

    def _lost(self, job: ScheduledJob, row: Row) -> None:
        """A job ran when its keeper died, or the machine."""
        outcome = outcomes.from_spool(job, self._paths)
        if outcome is None and row.is_cancelling:
            outcome = outcomes.cancelled(job.attempt)
        self._writer.end(job.job_id, outcome or outcomes.lost(job), job.bulk)
