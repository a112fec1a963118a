"""The supervisor: decides what runs next, keeps the ledger, and tells those who wait.

One a user, host and state directory. It may be killed at any moment: jobs run on under the keeper,
and the next supervisor finds the keeper and its log. It loads no plugins and unpickles no call.
"""

from __future__ import annotations

import argparse
import gc
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from anyjob.builtin.local import outcomes
from anyjob.builtin.local.frames import FrameSocket
from anyjob.builtin.local.keeper.log import Log
from anyjob.builtin.local.paths import PROTOCOL, RuntimePaths, peer_is_us, take_lock
from anyjob.builtin.local.supervisor.keeper_startup import meet
from anyjob.builtin.local.supervisor.queue import Bulks, Queue, Running, drop_environment
from anyjob.errors import AnyjobError, StateError
from anyjob.execution import spool
from anyjob.ledger.rows import FINAL, Row
from anyjob.ledger.sql import chunks
from anyjob.ledger.store import Ledger
from anyjob.specs import Outcome
from anyjob.status import JobStatus

PACE = 0.005
"""Seconds between two writes to the ledger, while jobs run: what happens meanwhile is written together."""
AHEAD = 2
"""Orders that a queue has at hand before there are slots for them."""
AGAIN = 1.0
"""Seconds after which a ledger that could not be written is written again."""
IDLE = 20.0
"""Seconds without work and without clients after which the supervisor ends."""
SWEEP = 3600.0
"""Seconds of age from which an environment that no job in the ledger needs is removed."""
UNREAD = 64 << 20
"""Bytes that a client may leave unread; it is told no more then, and looks for itself when it is back."""
LOG = 4 << 20
"""Bytes of the keeper's log that are kept though the ledger has them."""


class Supervisor:
    """The event loop of one supervisor, which holds the lock and listens.

    Args:
        places: where everything is.
        listener: the socket that clients connect to.
    """

    def __init__(self, places: RuntimePaths, listener: socket.socket) -> None:
        self._places = places
        self._ledger = Ledger(places.state)
        self._bulks = Bulks(self._ledger)
        self._selector = selectors.DefaultSelector()
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._clients: set[FrameSocket] = set()
        self._writes: set[FrameSocket] = set()
        self._keeper: FrameSocket | None = None
        self._logged = self._kept = 0
        self._queues: dict[int, Queue] = {}
        self._running: dict[str, Queue] = {}
        self._moved: dict[str, tuple[str, JobStatus, int, float | None]] = {}
        self._ended: dict[str, tuple[Outcome, int]] = {}
        self._pending = False
        self._written = 0.0
        self._idle_since = time.monotonic()
        self._failing = self._stopped = False

    # --- the loop -----------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until there has been nothing to do for a while."""
        self._hear_signals()
        self._meet_keeper()
        self._sweep()
        while not self._stopped:
            self._work()
            for key, events in self._selector.select(self._pause()):
                key.data(events)
            self._stopped = self._stopped or self._idle()
        self._write()
        if self._keeper is not None and not self._running:
            self._send(self._keeper, {"op": "stop"})

    def _work(self) -> None:
        try:
            self._fill()
            self._write_if_due()
            for queue in self._queues.values():
                queue.prepare(AHEAD)
            self._failing = False
            if self._ledger._file.opened > 1:
                self.stop()  # it was damaged, and replaced: what we have learnt of its numbers is void
            if not self._places.supervisor_socket.exists():
                self.stop()  # somebody has cleaned up: the next one makes it anew
        except StateError:
            # No space, most likely. What is to be written is kept, and tried again.
            if not self._failing:
                traceback.print_exc()
            self._failing = True

    def _hear_signals(self) -> None:
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(reader, selectors.EVENT_READ, lambda _: os.read(reader, 4096))
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def stop(self) -> None:
        """End at the next turn; what runs runs on."""
        self._stopped = True

    def _pause(self) -> float:
        if self._failing:
            return AGAIN
        if self._pending:
            return max(0.0, self._written + PACE - time.monotonic())
        return IDLE / 2

    def _idle(self) -> bool:
        now = time.monotonic()
        if self._clients or self._running or any(queue.waits for queue in self._queues.values()):
            self._idle_since = now
        elif now - self._idle_since >= IDLE:
            # Somebody may have put work into the ledger, and died before he could say so.
            self._look_everywhere()
            return not any(queue.waits for queue in self._queues.values())
        return False

    # --- clients ------------------------------------------------------------------------------

    def _accept(self, _: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if not peer_is_us(connection):
            connection.close()
            return
        client = FrameSocket(connection)
        self._clients.add(client)
        self._selector.register(client, selectors.EVENT_READ, lambda events: self._serve(client, events))

    def _serve(self, client: FrameSocket, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush(client)
        if events & selectors.EVENT_READ and client in self._clients:
            try:
                for message in client.receive():
                    self._answer(client, message)
            except (EOFError, OSError):
                self._drop(client)
            except (AnyjobError, LookupError, TypeError, ValueError):
                traceback.print_exc()  # it speaks something else
                self._drop(client)

    def _answer(self, client: FrameSocket, message: dict[str, Any]) -> None:
        match message["op"]:
            case "hello":
                self._send(client, {"op": "welcome", "protocol": PROTOCOL, "pid": os.getpid()})
            case "look":
                self._queue(message["backend"]).look()
                self._send(client, {"op": "ack", "ack": message["ack"]})
            case "cancel":
                answers = self._cancel(message["ids"])
                self._send(client, {"op": "ack", "ack": message["ack"], "answers": answers})
            case "retire":
                # A client of a newer version wants a supervisor of its own, which takes over what
                # runs as after a kill.
                self.stop()

    def _cancel(self, job_ids: list[str]) -> dict[str, bool]:
        answers = dict.fromkeys(job_ids, False)
        for job_id in job_ids:
            queue = self._running.get(job_id)
            if queue is not None and self._keeper is not None:
                attempt = queue.running[job_id].attempt
                kill = {
                    "op": "kill",
                    "id": job_id,
                    "attempt": attempt,
                    "cause": "cancel",
                    "grace": queue.grace,
                }
                self._keeper.send(kill)
                answers[job_id] = True
        if self._keeper is not None:
            self._flush(self._keeper)
        self._write()
        for some in chunks([job_id for job_id in job_ids if not answers[job_id]]):
            for row in self._ledger.rows(some).values():
                answers[row.job_id] = self._withdraw(row)
            self._write()
        return answers

    def _withdraw(self, row: Row) -> bool:
        """Cancel a job that waits; whether it did, and is ours."""
        if row.status is not JobStatus.QUEUED or not self._is_here(row.backend):
            return False
        self._queue(row.backend).look_again()
        outcome = Outcome(status=JobStatus.CANCELLED, finished=time.time(), attempt=row.attempt)
        self._end(row.job_id, outcome, row.bulk)
        return True

    def _is_here(self, number: int) -> bool:
        return number in self._queues or self._ledger.backend_row(number).host == self._places.host

    def _send(self, peer: FrameSocket, message: dict[str, Any]) -> None:
        peer.send(message)
        self._flush(peer)

    def _flush(self, peer: FrameSocket) -> None:
        try:
            left = not peer.flush()
        except OSError:
            left = False  # whoever reads from it finds out
        if left and peer.pending > UNREAD and peer is not self._keeper:
            self._drop(peer)
        elif left != (peer in self._writes):
            (self._writes.add if left else self._writes.discard)(peer)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if left else 0)
            self._selector.modify(peer, events, self._selector.get_key(peer).data)

    def _drop(self, client: FrameSocket) -> None:
        if client in self._clients:
            self._clients.discard(client)
            self._close(client)
            # It may have died between putting work into the ledger and saying so.
            self._look_everywhere()

    def _close(self, peer: FrameSocket) -> None:
        self._writes.discard(peer)
        self._selector.unregister(peer)
        peer.close()

    # --- what to run --------------------------------------------------------------------------

    def _queue(self, number: int) -> Queue:
        queue = self._queues.get(number)
        if queue is None:
            queue = Queue(self._ledger, self._places, self._bulks, number, self._write)
            self._queues[number] = queue
        return queue

    def _sweep(self) -> None:
        """Remove the environments that nobody needs: of clients that died before they had submitted."""
        old = [path for path in self._places.environments.iterdir() if _age(path) > SWEEP]
        needed = self._ledger.open_environments() if old else set()
        for path in old:
            if str(path) not in needed:
                path.unlink(missing_ok=True)

    def _look_everywhere(self) -> None:
        for number in self._ledger.open_backends(self._places.host):
            self._queue(number).look()

    def _fill(self) -> None:
        if self._keeper is None:
            return
        for queue in self._queues.values():
            for job, order in queue.take():
                if isinstance(order, Exception):
                    self._end(job.job_id, outcomes.not_started(order, job.attempt), job.bulk)
                else:
                    self._running[job.job_id] = queue
                    self._keeper.send(order)
        if self._keeper.pending:
            self._flush(self._keeper)

    def _end(self, job_id: str, outcome: Outcome, bulk: int) -> None:
        self._moved.pop(job_id, None)
        self._ended[job_id] = outcome, bulk
        self._pending = True

    def _move(self, job_id: str, status: JobStatus, attempt: int, started: float | None) -> None:
        self._moved[job_id] = job_id, status, attempt, started
        self._pending = True

    def _write_if_due(self) -> None:
        if self._pending and (not self._running or time.monotonic() - self._written >= PACE):
            self._write()

    def _write(self) -> None:
        """Write to the ledger what has happened, and then tell it."""
        if not self._pending:
            return
        moved, ended = self._moved, self._ended

        def write() -> None:
            if moved:
                self._ledger.moved(moved.values())
            if ended:
                self._ledger.settle({job_id: outcome for job_id, (outcome, _) in ended.items()})

        try:
            self._ledger.transaction(write)
        except (TypeError, ValueError):
            for job_id, (outcome, bulk) in ended.items():
                ended[job_id] = outcomes.writable(outcome), bulk
            self._ledger.transaction(write)
        self._moved, self._ended, self._pending = {}, {}, False
        self._written = time.monotonic()
        for job_id, (_, bulk) in ended.items():
            if self._bulks.get(bulk).has_own_variables:
                drop_environment(str(spool.path_of(self._places.spool, job_id)))
            self._bulks.ended(bulk)
        for client in list(self._clients):
            self._send(client, {"op": "changed", "ended": [*ended], "moved": [*moved]})
        if self._keeper is not None and self._logged - self._kept > LOG:
            self._kept = self._logged
            self._send(self._keeper, {"op": "compact", "offset": self._logged})

    # --- the keeper ---------------------------------------------------------------------------

    def _hear_keeper(self, events: int) -> None:
        keeper = self._keeper
        assert keeper is not None
        if events & selectors.EVENT_WRITE:
            self._flush(keeper)
        try:
            for message in keeper.receive():
                self._take(message)
        except (EOFError, OSError):
            self._keeper = None
            self._close(keeper)
            self._meet_keeper()

    def _take(self, event: dict[str, Any]) -> None:
        if event["op"] == "compacted":
            self._logged = self._kept = event["offset"]
            return
        job_id, attempt = event["id"], event["attempt"]
        queue = self._running.get(job_id)
        if event["op"] == "ended":
            self._logged = event["offset"]
        if queue is None or queue.running[job_id].attempt != attempt:
            return
        if event["op"] == "started":
            self._move(job_id, JobStatus.RUNNING, attempt, event["time"])
        elif event["op"] == "ended":
            del self._running[job_id]
            job = queue.ended(job_id)
            self._end(job_id, outcomes.from_event(event, job, self._places), job.bulk)

    def _meet_keeper(self) -> None:
        """Connect to the keeper, or to a new one; hold the ledger against what it has logged."""
        self._write()
        met = meet(self._places, lambda log: self._account(log, alive=False))
        self._keeper = met.frames
        self._logged = self._kept = 0
        self._selector.register(met.frames, selectors.EVENT_READ, self._hear_keeper)
        self._account(met.log, alive=True)
        for event in met.told:
            self._take(event)
        self._look_everywhere()

    def _account(self, log: Log, *, alive: bool) -> None:
        """Hold the ledger against a keeper's log."""
        self._running.clear()
        for queue in self._queues.values():
            queue.forget()
        rows = self._ledger.rows([*log.ended, *log.running])
        for job_id, row in rows.items():
            ended, run = log.ended.get(job_id), log.running.get(job_id)
            if row.state >= FINAL:
                continue
            queue = self._queue(row.backend)
            if run is not None and run["attempt"] == row.attempt:
                if alive:
                    queue.adopt(row)
                    self._running[job_id] = queue
                    self._move(job_id, JobStatus.RUNNING, row.attempt, run["time"])
                else:
                    self._lost(queue.job(row))
            elif ended is not None and ended["attempt"] == row.attempt:
                self._end(job_id, outcomes.from_event(ended, queue.job(row), self._places), row.bulk)
        self._write()
        for number in self._ledger.open_backends(self._places.host):
            ids = [job_id for job_id, _ in self._ledger.in_state(number, JobStatus.RUNNING)]
            rows = self._ledger.rows([job_id for job_id in ids if job_id not in self._running])
            for row in rows.values():
                self._lost(self._queue(number).job(row))
        self._write()

    def _lost(self, job: Running) -> None:
        """A job ran when its keeper died, or the machine."""
        outcome = outcomes.left_behind(job, self._places)
        if outcome is None and job.restartable:
            outcomes.clear(job, self._places)
            self._move(job.job_id, JobStatus.QUEUED, job.attempt + 1, None)
        else:
            self._end(job.job_id, outcome or outcomes.lost(job), job.bulk)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


# --- starting -------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    """Start a supervisor, and return 0 when it listens, or when another one does."""
    parser = argparse.ArgumentParser(prog="anyjob-supervisor", description=__doc__)
    parser.add_argument("--state", required=True, type=Path)
    parser.add_argument("--runtime", required=True, type=Path)
    given = parser.parse_args(arguments)
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        with open(reader, "rb") as stream:
            said = stream.read().decode("utf-8", "replace")
        if said == "ready":
            return 0
        sys.stderr.write(said or "it ended while it started\n")
        return 1
    os.close(reader)
    os.setsid()
    try:
        supervisor = _prepare(RuntimePaths(given.state, given.runtime))
    except Exception as error:
        said = str(error) if isinstance(error, AnyjobError) else f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(1)
    os.write(writer, b"ready")
    os.close(writer)
    if supervisor is not None:
        _serve(supervisor)
    os._exit(0)


def _prepare(places: RuntimePaths) -> Supervisor | None:
    """Take the lock and listen. Return None where another supervisor does."""
    errors = os.open(
        places.logs / "supervisor.err",
        os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o600,
    )
    if os.fstat(errors).st_size > 1 << 20:
        os.ftruncate(errors, 0)
    if take_lock(places.supervisor_lock) is None:
        return None
    supervisor = Supervisor(places, places.listen(places.supervisor_socket))
    null = os.open(os.devnull, os.O_RDWR)
    for target, source in ((0, null), (1, errors), (2, errors)):
        os.dup2(source, target)
    os.close(null)
    os.close(errors)
    return supervisor


def _serve(supervisor: Supervisor) -> None:
    gc.collect()
    gc.freeze()
    try:
        supervisor.run()
    except Exception:
        traceback.print_exc()
    # The socket stays: it is only ever replaced by one who has the lock.


if __name__ == "__main__":
    sys.exit(main())
