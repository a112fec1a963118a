"""The supervisor's service: jobs go to the keeper, and what comes of them to the ledger and to clients.

It may be killed at any moment: jobs run on under the keeper, and the next one finds that and its log.
It loads no plugins and unpickles no call.
"""

from __future__ import annotations

import math
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.locks import is_in_place
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor.clients import Cancelled, Clients
from anyjob.builtin.local.supervisor.dependents import SOON, Dependents
from anyjob.builtin.local.supervisor.due_retries import DueRetries
from anyjob.builtin.local.supervisor.gpu_memory import GpuMemory
from anyjob.builtin.local.supervisor.installation import Installation
from anyjob.builtin.local.supervisor.jobs import outcomes
from anyjob.builtin.local.supervisor.jobs.bulks import Bulks
from anyjob.builtin.local.supervisor.jobs.scheduled_job import ScheduledJob
from anyjob.builtin.local.supervisor.keepers import keeper_link
from anyjob.builtin.local.supervisor.keepers.keeper_link import KeeperLink
from anyjob.builtin.local.supervisor.keepers.reconciliation import Reconciliation
from anyjob.builtin.local.supervisor.ledger_writer import LedgerWriter
from anyjob.builtin.local.supervisor.releasers import Releasers
from anyjob.builtin.local.supervisor.requests.cancellation import Cancellation
from anyjob.builtin.local.supervisor.requests.job_controls import JobControls
from anyjob.builtin.local.supervisor.requests.lending import Lending
from anyjob.builtin.local.supervisor.scheduling.scheduler import Scheduler
from anyjob.builtin.local.supervisor.write_failures import WriteFailures
from anyjob.errors import StateError
from anyjob.ledger.end_effects import NextAttempt
from anyjob.ledger.file.disk_reserve import Reserve
from anyjob.ledger.store import Ledger
from anyjob.status import JobStatus

READY = 2
"""Orders that a queue has at hand before there are slots for them."""
IDLE = 20.0
"""Seconds without work and without clients after which the supervisor ends."""
UNNEEDED = 3600.0
"""Seconds of age from which an environment that no job in the ledger needs is removed."""
WAKE = signal.SIGURG
"""Has a supervisor look around at once. One that has not come so far ignores it, as every process does."""


class Supervisor:
    """The event loop of one supervisor, which holds the lock and listens.

    Args:
        paths: where everything is.
        listener: the socket that clients connect to.
        lock: the lock that it holds.
    """

    def __init__(self, paths: RuntimePaths, listener: socket.socket, lock: int) -> None:
        self._paths = paths
        self._lock = lock
        self._source = Installation()
        self._loop = EventLoop()
        self._ledger = Ledger(paths.state)
        bulks = Bulks(self._ledger)
        self._writer = LedgerWriter(
            self._ledger, paths, bulks, self._ledger_written, self._released, self._go_again
        )
        self._scheduler = Scheduler(self._ledger, paths, bulks, self._writer.write)
        self._reconciliation = Reconciliation(self._ledger, self._writer, self._scheduler, paths)
        self._clients = Clients(self._loop, listener, self)
        self._trouble = WriteFailures(self._clients, Reserve(paths.state))
        self._keeper = KeeperLink(self._loop, paths, self._take_event, self._clients.warn)
        self._cancellation = Cancellation(
            self._ledger, self._writer, self._scheduler, self._keeper, self._trouble
        )
        self._controls = JobControls(self._ledger, self._writer, self._scheduler, self._keeper, paths)
        self._lending = Lending(self._loop, self._scheduler, self._keeper, self._ledger, paths.host)
        self._attempts = DueRetries(self._ledger, self._scheduler, paths.host)
        self._dependents = Dependents(self._ledger, self._writer, self._scheduler, paths.host)
        self._releasers = Releasers(self._ledger, paths)
        self._gpu_memory = GpuMemory()
        self._idle_since = time.monotonic()
        self._stopped = self._must_rescan = self._has_released = False

    # --- the loop -----------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until there has been nothing to do for a while."""
        self._handle_signals()
        while not self._stopped:
            self._work()
            self._keeper.check(self._scheduler.has_running)
            self._loop.run_once(0 if self._stopped else self._pause())
            self._stopped = self._stopped or self._is_idle()
        if not self.has_state:
            return
        self._writer.write()
        if not self._scheduler.has_running:
            self._keeper.tell({"op": "stop"})

    def _work(self) -> None:
        if not self.has_state:
            self.stop()
            return
        if self._trouble and self._trouble.pause:
            return
        try:
            if not self._keeper.is_connected:
                self._connect_keeper()
            if self._must_rescan:
                self._scheduler.rescan_all()
                self._must_rescan = False
            self._dependents.check()
            self._releasers.check(self._dependents.are_waiting)
            self._attempts.begin()
            self._start_jobs()
            may_wait = self._scheduler.has_running and self._writer.pause
            if self._writer.is_pending and not (may_wait and not self._dependents.wait_for_these_alone()):
                self._writer.write()
                if self._has_released:
                    self._has_released = False
                    self._start_jobs()
            self._scheduler.prepare(READY)
            self._keeper.tell_waiting(bool(self._attempts))
            self._trouble.is_over(self._scheduler.hindrance)
            if self._ledger.file.opened > 1:
                self.stop()  # it was damaged, and replaced: what we have learnt of its numbers is void
            if not self._paths.supervisor_socket.exists():
                self.stop()  # somebody has cleaned up: the next one makes it anew
        except (StateError, OSError) as error:
            self._trouble.begin(error)

    def _handle_signals(self) -> None:
        self._loop.on_signal(lambda: None)
        signal.signal(WAKE, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def _pause(self) -> float | None:
        """Return how long nothing is to be done, in seconds, unless something happens; None: for ever."""
        if self._trouble:
            return self._trouble.pause
        if self._writer.is_pending:
            return self._writer.pause
        others = self._releasers.pause, self._attempts.pause, self._scheduler.pause
        pause = min(self._dependents.pause, *others)
        if self._scheduler.has_running:
            pause = min(pause, keeper_link.PING)
        elif not self._clients:
            pause = min(pause, IDLE / 2)
        return None if pause == math.inf else pause

    def _is_idle(self) -> bool:
        now = time.monotonic()
        is_busy = self._scheduler.has_running or self._scheduler.has_waiting
        others_wait = self._dependents.are_waiting or self._releasers.are_waiting
        if self._clients or is_busy or others_wait or self._attempts:
            self._idle_since = now
        elif now - self._idle_since >= IDLE:
            # Somebody may have put work into the ledger, and died before he could say so.
            self._scheduler.rescan_all()
            self._look_at_dependents()
            self._dependents.check()
            self._releasers.check(self._dependents.are_waiting)
            others_wait = self._dependents.are_waiting or self._releasers.are_waiting
            return not (self._scheduler.has_waiting or others_wait)
        return False

    def _start_jobs(self) -> None:
        if not self._keeper.is_connected:
            return
        for job, order in self._scheduler.take():
            if isinstance(order, Exception):
                self._writer.end(job.job_id, outcomes.not_started(order, job.attempt), job.bulk)
            else:
                self._keeper.put(order)
        self._keeper.flush()

    def _ledger_written(self, ended: Sequence[str], moved: Sequence[str]) -> None:
        self._clients.tell_changed(ended, moved)
        self._keeper.compact()

    def _released(self, backend: int) -> None:
        """Jobs of a backend may start now, since others have ended."""
        if self._scheduler.is_here(backend):
            self._scheduler.queue(backend).released()
            self._has_released = True
        else:
            self._releasers.look_soon()

    def _look_at_dependents(self, delay: float = 0.0) -> None:
        self._dependents.look_soon(delay)
        self._releasers.look_soon(delay)

    def _go_again(self, again: Sequence[NextAttempt]) -> None:
        """An attempt of jobs has ended, and there is another: now, or when it is due."""
        self._attempts.add(again)
        for backend in {each.backend for each in again if not each.wait}:
            self._released(backend)

    def _remove_unneeded_environments(self) -> None:
        """Remove those of clients that died before they had submitted."""
        old = [path for path in self._paths.environments.iterdir() if _age(path) > UNNEEDED]
        needed = self._ledger.open_environments() if old else set()
        for path in old:
            if str(path) not in needed:
                path.unlink(missing_ok=True)

    # --- what clients ask ---------------------------------------------------------------------

    def rescan(self, backend: int) -> None:
        """There are new jobs of a backend in the ledger."""
        self._scheduler.queue(backend).rescan()
        self._look_at_dependents(SOON)

    def advance(self, job_ids: list[str]) -> None:
        """Jobs have ended in the ledger or may start, since a client has written the end of others."""
        self._dependents.hear(job_ids)
        self._releasers.look_soon()

    def control(self, action: str, job_ids: list[str], value: int | None) -> list[str]:
        """Hold, release, pause or resume jobs, or give them a priority; return those to which it was done.

        Raises:
            BackendUnavailableError: that cannot be done now.
        """
        return self._controls.control(action, job_ids, value)

    def adjust(self, backend: int) -> None:
        """The options of a backend were set anew, in the ledger."""
        self._controls.adjust(backend)

    def waiting(self, job_id: str, attempt: int) -> None:
        """A client that is part of a job waits for others."""
        self._lending.begin((job_id, attempt))

    def resumed(self, job_id: str, attempt: int) -> None:
        """A client that has waited goes on, or is gone."""
        self._lending.end((job_id, attempt))

    def client_lost(self) -> None:
        """A client is gone: perhaps before it has said what it has put into the ledger."""
        self._must_rescan = True  # at the next turn: others are being told something now
        self._look_at_dependents(SOON)

    @property
    def has_state(self) -> bool:
        """Whether the state directory is there, or was removed under us."""
        return is_in_place(self._lock, self._paths.supervisor_lock)

    def is_current(self) -> bool:
        """Tell whether this serves new clients, or they are to start the next supervisor."""
        return self.has_state and self._source.is_in_place()

    def stop(self, successor: list[str] | None = None) -> None:
        """End at the next turn; what runs runs on. The keeper starts the successor, if one is given."""
        if successor:
            self._keeper.name_successor(successor)
        self._stopped = True

    def cancel(self, job_ids: list[str]) -> Cancelled:
        """Cancel jobs; say what is done by that.

        Raises:
            BackendUnavailableError: that cannot be done now.
        """
        return self._cancellation.cancel(job_ids)

    # --- what the keeper tells ----------------------------------------------------------------

    def _connect_keeper(self) -> None:
        """Connect to the keeper, or to a new one; hold the ledger against what it has logged."""
        self._writer.write()
        self._remove_unneeded_environments()
        found = self._keeper.connect(self._reconciliation.with_dead_keeper, self._goes_on)
        if found is None:
            self.stop()
            return
        cancelling = self._reconciliation.with_keeper(found.log)
        for event in found.events:
            self._take_event(event)
        self._cancellation.terminate(cancelling)
        self._lending.renew()
        self._attempts.read()
        self._scheduler.rescan_all()

    def _goes_on(self) -> bool:
        self._stopped = self._stopped or not self.has_state or self._is_idle()
        return not self._stopped

    def _take_event(self, event: dict[str, Any]) -> None:
        if event["op"] == "pong":
            return
        if event["op"] == "hindered":
            self._trouble.tell(f"jobs of the local backend cannot start: {event['message']}")
            return
        if event["op"] == "compacted":
            self._keeper.compacted(event["offset"])
            return
        if event["op"] == "freed":
            self._scheduler.freed(event["id"])
            return
        if event["op"] == "ended":
            self._keeper.logged = event["offset"]
        job_id, attempt = event["id"], event["attempt"]
        running = self._scheduler.running(job_id)
        if running is None or running[0].attempt != attempt:
            return
        if event["op"] == "withdrawn":
            self._controls.withdrawn(job_id)
        elif event["op"] == "started":
            self._writer.move(job_id, JobStatus.RUNNING, attempt, event["time"])
            self._note_gpus(running[0])
            if running[0].devices:
                self._gpu_memory.begin(job_id)
        elif event["op"] == "ended":
            if event["pid"] is not None:  # the start of one that ends at once is not told by itself
                self._note_gpus(running[0])
            job = self._scheduler.ended(job_id)
            if job.devices:
                event["peak_gpu_memory"] = self._gpu_memory.end(job_id)
            self._writer.end(job_id, outcomes.from_event(event, job, self._paths), job.bulk)

    def _note_gpus(self, job: ScheduledJob) -> None:
        if job.devices:
            self._writer.note_gpus(job.job_id, job.devices)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
