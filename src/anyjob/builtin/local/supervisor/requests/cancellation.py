"""Cancels jobs for clients: what runs is terminated by the keeper, what waits ends in the ledger."""

from __future__ import annotations

import time

from anyjob.builtin.local.supervisor.clients import Cancelled
from anyjob.builtin.local.supervisor.keepers.keeper_link import KeeperLink
from anyjob.builtin.local.supervisor.ledger_writer import LedgerWriter
from anyjob.builtin.local.supervisor.scheduling.scheduler import Scheduler
from anyjob.builtin.local.supervisor.write_failures import WriteFailures
from anyjob.errors import BackendUnavailableError, StateError
from anyjob.ledger.store import Ledger


class Cancellation:
    """Ends jobs that are not wanted any more.

    Args:
        ledger: where it is noted.
        writer: what writes that those which wait have ended.
        scheduler: knows which jobs the keeper has.
        keeper: terminates these.
        trouble: hears of a ledger that cannot be written.
    """

    def __init__(
        self,
        ledger: Ledger,
        writer: LedgerWriter,
        scheduler: Scheduler,
        keeper: KeeperLink,
        trouble: WriteFailures,
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._scheduler = scheduler
        self._keeper = keeper
        self._trouble = trouble

    def cancel(self, job_ids: list[str]) -> Cancelled:
        """Cancel jobs; say what is done by that.

        Raises:
            BackendUnavailableError: what waits is not known, as the keeper does not answer, or the ledger
                cannot be used.
        """
        if not self._keeper.is_connected:
            raise BackendUnavailableError(self._keeper.silence())
        # Written before it is answered: whoever dies next, it is not forgotten.
        started = [job_id for job_id in job_ids if self._scheduler.running(job_id) is not None]
        try:
            self._ledger.cancel_accepted(started)
        except StateError as error:  # ended they are all the same: one of them may be what fills the disk
            self._trouble.begin(error)
        self.terminate(started)
        waiting = [job_id for job_id in job_ids if self._scheduler.running(job_id) is None]
        finished = time.time()
        return Cancelled(started, self._cancel_waiting(waiting, finished) if waiting else {}, finished)

    def _cancel_waiting(self, job_ids: list[str], finished: float) -> dict[str, int]:
        """Cancel jobs that wait, and are ours; return the attempts of those, by id."""
        for last in (False, True):
            try:
                cancelled = self._writer.cancel(job_ids, finished)
                break
            except StateError as error:
                self._trouble.begin(error)
                if last or self._trouble.pause:  # else there was room kept for this
                    raise BackendUnavailableError(str(error)) from error
        self._scheduler.drop(cancelled)
        return cancelled

    def terminate(self, job_ids: list[str]) -> None:
        """Have the keeper terminate jobs that it has; where there is none, the next is told."""
        for job_id in job_ids:
            running = self._scheduler.running(job_id)
            if running is not None:
                job, queue = running
                message = {"op": "terminate", "id": job_id, "attempt": job.attempt}
                self._keeper.put({**message, "cause": "cancel", "grace": queue.grace})
        self._keeper.flush()
