"""What clients have done to jobs beside cancelling them: held, released, paused, resumed."""

from __future__ import annotations

from collections.abc import Sequence

from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.jobs import outcomes
from anyjob.builtin.local.supervisor.keepers.keeper_link import KeeperLink
from anyjob.builtin.local.supervisor.ledger_writer import LedgerWriter
from anyjob.builtin.local.supervisor.scheduling.scheduler import Scheduler
from anyjob.errors import BackendUnavailableError, StateError
from anyjob.ledger.store import Ledger

ACTIONS = ("hold", "release", "pause", "resume", "priority")


class JobControls:
    """Does it in the ledger first, so that it holds whoever dies next.

    Args:
        ledger: where it is noted.
        writer: writes what has happened so far, before that is read.
        scheduler: knows which jobs the keeper has.
        keeper: gives back what has not begun, and stops and continues what runs.
        paths: which machine this is.
    """

    def __init__(
        self,
        ledger: Ledger,
        writer: LedgerWriter,
        scheduler: Scheduler,
        keeper: KeeperLink,
        paths: RuntimePaths,
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._scheduler = scheduler
        self._keeper = keeper
        self._host = paths.host

    def control(self, action: str, job_ids: Sequence[str], value: int | None = None) -> list[str]:
        """Do one of `ACTIONS`, the last of them to a value; return the jobs to which it was done.

        Raises:
            BackendUnavailableError: that cannot be done now.
            ValueError: there is no such action.
        """
        if action not in ACTIONS:
            raise ValueError(f"there is no action {action!r}")
        if not self._keeper.is_connected:
            raise BackendUnavailableError(self._keeper.silence())
        try:
            self._writer.write()  # else one would count as waiting that runs
            if action == "priority":
                accepted = self._ledger.set_priority(job_ids, self._host, int(value or 0))
            else:
                accepted = getattr(self._ledger, action)(job_ids, self._host)
        except StateError as error:
            raise BackendUnavailableError(str(error)) from error
        if action == "hold":
            self._scheduler.drop(set(accepted))
        elif action in ("release", "priority"):
            self._scheduler.reread_all()
        if action in ("hold", "priority"):
            self._tell("withdraw", accepted)
        elif action in ("pause", "resume"):
            self._tell(action, accepted)
        return accepted

    def adjust(self, backend: int) -> None:
        """Options of a backend were set anew: what runs runs on, what has not begun does by the new ones."""
        if self._scheduler.is_here(backend):
            queue = self._scheduler.queue(backend)
            queue.adjust(self._ledger.settings(backend))
            self._tell("withdraw", list(queue.running))

    def withdrawn(self, job_id: str) -> None:
        """The keeper has given back a job that has not begun."""
        job = self._scheduler.ended(job_id)
        row = self._ledger.rows([job_id]).get(job_id)
        if row is not None and row.is_cancelling:  # meanwhile: the keeper does not know it any more
            self._writer.end(job_id, outcomes.cancelled(job.attempt), job.bulk)
        self._scheduler.reread_all()

    def _tell(self, op: str, job_ids: Sequence[str]) -> None:
        for job_id in job_ids:
            running = self._scheduler.running(job_id)
            if running is not None:
                self._keeper.put({"op": op, "id": job_id, "attempt": running[0].attempt})
        self._keeper.flush()
