"""The supervisor's service: jobs go to the keeper, and what comes of them to the ledger and to clients.

It may be killed at any moment: jobs run on under the keeper, and the next one finds that and its log.
It loads no plugins and unpickles no call.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anyjob.builtin.local.ipc.event_loop import EventLoop
from anyjob.builtin.local.ipc.frames import FrameSocket
from anyjob.builtin.local.locks import is_in_place, lock_holder
from anyjob.builtin.local.paths import RuntimePaths
from anyjob.builtin.local.supervisor import outcomes
from anyjob.builtin.local.supervisor.bulks import Bulks
from anyjob.builtin.local.supervisor.clients import Cancelled, Clients
from anyjob.builtin.local.supervisor.keeper_startup import connect_keeper, supervisor_command
from anyjob.builtin.local.supervisor.ledger_writer import LedgerWriter
from anyjob.builtin.local.supervisor.reconciliation import Reconciliation
from anyjob.builtin.local.supervisor.scheduler import Scheduler
from anyjob.builtin.local.supervisor.trouble import Trouble
from anyjob.errors import BackendUnavailableError, StateError
from anyjob.ledger.reserve import Reserve
from anyjob.ledger.store import Ledger
from anyjob.status import JobStatus

READY = 2
"""Orders that a queue has at hand before there are slots for them."""
IDLE = 20.0
"""Seconds without work and without clients after which the supervisor ends."""
UNNEEDED = 3600.0
"""Seconds of age from which an environment that no job in the ledger needs is removed."""
PATIENCE = 5.0
"""Seconds that a keeper may take to say hello, or to start, before clients are served without it."""
PING = 5.0
"""Seconds after which a keeper that has jobs, and says nothing, is asked whether it is there."""
SILENCE = 15.0
"""Seconds without an answer after which those who wait are told."""
COMPACT = 4 << 20
"""Bytes of the keeper's log that are kept though the ledger has them."""

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
        self._source = _Source()
        self._loop = EventLoop()
        self._ledger = Ledger(paths.state)
        bulks = Bulks(self._ledger)
        self._writer = LedgerWriter(self._ledger, paths, bulks, self._ledger_written)
        self._scheduler = Scheduler(self._ledger, paths, bulks, self._writer.write)
        self._reconciliation = Reconciliation(self._ledger, self._writer, self._scheduler, paths)
        self._clients = Clients(self._loop, listener, self)
        self._trouble = Trouble(self._clients, Reserve(paths.state))
        self._keeper: FrameSocket | None = None
        self._logged = self._compacted = 0  # offsets in the keeper's log
        self._idle_since = self._heard = self._told = time.monotonic()
        self._pinged: float | None = None
        self._keeper_pid = 0
        self._stopped = self._must_rescan = False

    # --- the loop -----------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until there has been nothing to do for a while."""
        self._handle_signals()
        while not self._stopped:
            self._work()
            self._check_keeper()
            self._loop.run_once(0 if self._stopped else self._pause())
            self._stopped = self._stopped or self._is_idle()
        if not self.has_state:
            return
        self._writer.write()
        if self._keeper is not None and not self._scheduler.has_running:
            self._keeper.send({"op": "stop"})
            self._loop.flush(self._keeper)

    def _work(self) -> None:
        if not self.has_state:
            self.stop()
            return
        if self._trouble and self._trouble.pause:
            return
        try:
            if self._keeper is None:
                self._connect_keeper()
            if self._must_rescan:
                self._scheduler.rescan_all()
                self._must_rescan = False
            self._start_jobs()
            if self._writer.is_pending and not (self._scheduler.has_running and self._writer.pause):
                self._writer.write()
            self._scheduler.prepare(READY)
            self._trouble.is_over()
            if self._ledger._file.opened > 1:
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

    def _pause(self) -> float:
        if self._trouble:
            return self._trouble.pause
        if self._writer.is_pending:
            return self._writer.pause
        return min(PING, IDLE / 2) if self._scheduler.has_running else IDLE / 2

    def _is_idle(self) -> bool:
        now = time.monotonic()
        if self._clients or self._scheduler.has_running or self._scheduler.has_waiting:
            self._idle_since = now
        elif now - self._idle_since >= IDLE:
            # Somebody may have put work into the ledger, and died before he could say so.
            self._scheduler.rescan_all()
            return not self._scheduler.has_waiting
        return False

    def _check_keeper(self) -> None:
        """Ask a keeper that has said nothing for long; tell clients of one that does not answer."""
        now = time.monotonic()
        if self._keeper is None or not self._scheduler.has_running:
            self._heard, self._pinged = now, None
        elif self._pinged is None and now - self._heard >= PING:
            self._pinged = now
            self._keeper.send({"op": "ping"})
            self._loop.flush(self._keeper)
        elif self._pinged is not None and now - self._pinged >= SILENCE:
            self._heard, self._pinged = now, None  # it is asked, and told, again
            self._clients.warn(self._silence())

    def _silence(self) -> str:
        return (
            f"the keeper of the local backend (pid {self._keeper_pid}) has not answered for {SILENCE:g} s: "
            "its jobs cannot start or end. If it was stopped, have it go on (kill -CONT); where it is "
            "killed (kill -KILL), what it runs is lost"
        )

    def _start_jobs(self) -> None:
        if self._keeper is None:
            return
        for job, order in self._scheduler.take():
            if isinstance(order, Exception):
                self._writer.end(job.job_id, outcomes.not_started(order, job.attempt), job.bulk)
            else:
                self._keeper.send(order)
        if self._keeper.pending:
            self._loop.flush(self._keeper)

    def _ledger_written(self, ended: Sequence[str], moved: Sequence[str]) -> None:
        self._clients.tell_changed(ended, moved)
        if self._keeper is not None and self._logged - self._compacted > COMPACT:
            self._compacted = self._logged
            self._keeper.send({"op": "compact", "offset": self._logged})
            self._loop.flush(self._keeper)

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

    def client_lost(self) -> None:
        """A client is gone: perhaps before it has said what it has put into the ledger."""
        self._must_rescan = True  # at the next turn: others are being told something now

    @property
    def has_state(self) -> bool:
        """Whether the state directory is there, or was removed under us."""
        return is_in_place(self._lock, self._paths.supervisor_lock)

    def is_current(self) -> bool:
        """Tell whether this serves new clients, or they are to start the next supervisor."""
        return self.has_state and self._source.is_in_place()

    def stop(self) -> None:
        """End at the next turn; what runs runs on."""
        self._stopped = True

    def cancel(self, job_ids: list[str]) -> Cancelled:
        """Cancel jobs; say what is done by that.

        Raises:
            BackendUnavailableError: what waits is not known, as the keeper does not answer, or the ledger
                cannot be used.
        """
        if self._keeper is None:
            raise BackendUnavailableError(self._silence())
        # Written before it is answered: whoever dies next, it is not forgotten.
        started = [job_id for job_id in job_ids if self._scheduler.running(job_id) is not None]
        try:
            self._ledger.cancel_accepted(started)
        except StateError as error:  # ended they are all the same: one of them may be what fills the disk
            self._trouble.begin(error)
        self._terminate(started)
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

    def _terminate(self, job_ids: list[str]) -> None:
        """Have the keeper terminate jobs that it has; where there is none, the next is told."""
        if self._keeper is None:
            return
        for job_id in job_ids:
            running = self._scheduler.running(job_id)
            if running is not None:
                job, queue = running
                message = {"op": "terminate", "id": job_id, "attempt": job.attempt}
                self._keeper.send({**message, "cause": "cancel", "grace": queue.grace})
        self._loop.flush(self._keeper)

    # --- what the keeper tells ----------------------------------------------------------------

    def _connect_keeper(self) -> None:
        """Connect to the keeper, or to a new one; hold the ledger against what it has logged."""
        self._writer.write()
        self._remove_unneeded_environments()
        self._heard = self._told = time.monotonic()
        found = connect_keeper(self._paths, self._reconciliation.with_dead_keeper, self._await_keeper)
        if found is None:
            self.stop()
            return
        self._keeper, self._keeper_pid = found.frames, found.pid
        # It may be of another installation, which is gone by now.
        self._keeper.send({"op": "supervisor", "command": supervisor_command(self._paths)})
        self._logged = self._compacted = 0
        self._loop.add_reader(found.frames, self._receive)
        cancelling = self._reconciliation.with_keeper(found.log)
        for event in found.events:
            self._take_event(event)
        self._terminate(cancelling)
        self._scheduler.rescan_all()

    def _await_keeper(self) -> bool:
        """A keeper lives, and says nothing: serve clients, and tell them. Return whether to go on."""
        now = time.monotonic()
        if now - self._heard >= PATIENCE:
            self._keeper_pid = lock_holder(self._paths.keeper_lock) or 0
            self._loop.run_once(0)
            if now - self._told >= SILENCE:
                self._told = now
                self._clients.warn(self._silence())
        self._stopped = self._stopped or not self.has_state or self._is_idle()
        return not self._stopped

    def _receive(self) -> None:
        keeper = self._keeper
        assert keeper is not None
        self._heard, self._pinged = time.monotonic(), None
        try:
            for message in keeper.receive():
                self._take_event(message)
        except (EOFError, OSError):
            self._keeper = None
            self._loop.remove_reader(keeper)
            keeper.close()

    def _take_event(self, event: dict[str, Any]) -> None:
        if event["op"] == "pong":
            return
        if event["op"] == "hindered":
            self._trouble.tell(f"jobs of the local backend cannot start: {event['message']}")
            return
        if event["op"] == "compacted":
            self._logged = self._compacted = event["offset"]
            return
        if event["op"] == "ended":
            self._logged = event["offset"]
        job_id, attempt = event["id"], event["attempt"]
        running = self._scheduler.running(job_id)
        if running is None or running[0].attempt != attempt:
            return
        if event["op"] == "started":
            self._writer.move(job_id, JobStatus.RUNNING, attempt, event["time"])
        elif event["op"] == "ended":
            job = self._scheduler.ended(job_id)
            self._writer.end(job_id, outcomes.from_event(event, job, self._paths), job.bulk)


class _Source:
    """The file or archive that this was loaded from: where that was removed or replaced, so was anyjob."""

    def __init__(self) -> None:
        self._found = self._look()

    def is_in_place(self) -> bool:
        return self._look() == self._found

    @staticmethod
    def _look() -> tuple[int, ...] | None:
        path = __file__
        while True:
            try:
                found = os.stat(path)
            except NotADirectoryError:
                path = os.path.dirname(path)
            except OSError:
                return None
            else:
                return found.st_dev, found.st_ino, found.st_mtime_ns


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
