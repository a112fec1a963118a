"""The queue of one `local` backend: first in, first out, up to its slots."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from anyjob.builtin.local.paths import RuntimePaths, write_private
from anyjob.errors import StateError
from anyjob.execution import spool
from anyjob.execution.spawning import GRACE, lay_files
from anyjob.ledger.encoding import Context, decode_resources
from anyjob.ledger.rows import Row
from anyjob.ledger.store import Ledger
from anyjob.specs import Command

HELD = 8
"""Jobs, at most, that the keeper has beside those that there are slots for: it starts them without asking."""
READ = 500
"""Jobs that are read from the ledger at a time, at most: what waits is not held in memory."""
READ_BYTES = 8 << 20
"""Bytes that these should not exceed by much."""
BULKS = 32
"""Bulks that are remembered."""
ENVIRONMENT = "environment"
"""The file in a job's directory with the variables that plugins have for it alone."""
OWN = ".own"
"""What the name of a bulk's environment ends with where its jobs have such variables."""


class Bulk:
    """What the jobs of a bulk have in common."""

    def __init__(self, context: Context, native: str, shared: bytes | None) -> None:
        self.context = context
        self.is_call = native == "python"
        self.shared = shared
        self.resources = decode_resources(context.resources)
        self.has_own_variables = context.environment.endswith(OWN)


class Bulks:
    """The bulks whose jobs were last started, and the environments that the jobs of bulks are kept."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: OrderedDict[int, Bulk] = OrderedDict()
        self._open: dict[int, int] = {}

    def get(self, number: int) -> Bulk:
        """Return the bulk of this number."""
        bulk = self._known.get(number)
        if bulk is None:
            bulk = self._known[number] = Bulk(*self._ledger.bulk(number))
            if len(self._known) > BULKS:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(number)
        return bulk

    def ended(self, number: int) -> None:
        """A job of a bulk has ended, and the ledger knows. The last one takes the environment along."""
        left = self._open.pop(number, 1) - 1
        if left <= 0:  # or this is the first of its jobs that we see the end of
            left = self._ledger.open_in_bulk(number)
        if left:
            self._open[number] = left
            return
        path = self.get(number).context.environment
        if path:
            try:
                os.unlink(path)
            except FileNotFoundError:
                return


class Running:
    """A job that takes slots."""

    __slots__ = ("attempt", "bulk", "is_call", "job_id", "resources", "restartable", "slots")

    def __init__(self, job_id: str, attempt: int, number: int, bulk: Bulk) -> None:
        self.job_id = job_id
        self.attempt = attempt
        self.bulk = number
        self.is_call = bulk.is_call
        self.resources = bulk.resources
        self.restartable = bulk.resources.restartable
        self.slots = bulk.resources.cpus or 1


class Queue:
    """What waits and what runs, of one backend.

    Args:
        ledger: where what waits is read from.
        places: where spools are.
        bulks: what the jobs of a bulk share.
        number: which backend.
        write: writes to the ledger what has happened; called before it is read.

    Raises:
        StateError: the backend is that of another host.
    """

    def __init__(
        self, ledger: Ledger, places: RuntimePaths, bulks: Bulks, number: int, write: Callable[[], None]
    ) -> None:
        row = ledger.backend_row(number)
        if row.host != places.host:
            raise StateError(f"backend {row.label!r} is that of host {row.host!r}, not of {places.host!r}")
        self._ledger = ledger
        self._spool = str(places.spool)
        self._bulks = bulks
        self._number = number
        self._write = write
        self._slots = int(row.options["slots"])
        self._booked = self._slots + min(self._slots, HELD)
        self.grace = float(row.options.get("grace", GRACE))
        self._preload = list(row.options.get("preload", ()))
        self._durable = row.options.get("durability") == "full"
        if self._durable:
            ledger.require_full()
        self._used = 0
        self._waiting: deque[tuple[int, str, int, int, bytes | None]] = deque()
        self._made: set[str] = set()
        self._ready: deque[tuple[Running, Any]] = deque()
        self._chunk = 16
        self._more = True
        self.running: dict[str, Running] = {}

    @property
    def waits(self) -> bool:
        """Whether something waits, or may."""
        return self._more or bool(self._waiting or self._ready)

    def look(self) -> None:
        """There may be new jobs."""
        self._more = True

    def look_again(self) -> None:
        """Jobs that waited may not wait any more, or old ones anew."""
        self._more = True
        self._waiting.clear()
        self._ready.clear()

    def forget(self) -> None:
        """Nothing is known of what runs: the keeper is gone."""
        self.running.clear()
        self._used = 0
        self.look_again()

    def take(self) -> Iterator[tuple[Running, Any]]:
        """Yield the jobs that the keeper is to have now, each with its order: some more than there are slots.

        Of one that no order can be made of, what is wrong is yielded in place of that, and it takes no slot.
        """
        while self._used < self._booked and self.prepare(1):
            job, order = self._ready[0]
            if self._used and self._used + job.slots > self._booked:
                return  # first in, first out: it waits for enough to become free
            self._ready.popleft()
            if not isinstance(order, Exception):
                self._run(job)
            yield job, order

    def prepare(self, count: int) -> bool:
        """Have the orders of so many that wait at hand; return whether there is any."""
        while len(self._ready) < count and (self._waiting or self._read()):
            _, job_id, number, attempt, payload = self._waiting.popleft()
            bulk = self._bulks.get(number)
            job = Running(job_id, attempt, number, bulk)
            try:
                self._ready.append((job, self._order(job, bulk, payload)))
            except Exception as error:
                self._ready.append((job, error))
        return bool(self._ready)

    def adopt(self, row: Row) -> None:
        """Take in a job that runs already."""
        if row.job_id not in self.running:
            self._run(self.job(row))

    def job(self, row: Row) -> Running:
        """Return a job as this queue sees it."""
        return Running(row.job_id, row.attempt, row.bulk, self._bulks.get(row.bulk))

    def ended(self, job_id: str) -> Running:
        """A job has ended, and gives its slots back."""
        job = self.running.pop(job_id)
        self._used -= job.slots
        return job

    def _run(self, job: Running) -> None:
        self.running[job.job_id] = job
        self._used += job.slots

    def _read(self) -> bool:
        if not self._more:
            return False
        self._write()  # else it would read as waiting what has ended
        known = {*self.running, *(job.job_id for job, _ in self._ready)}
        limit = self._chunk + len(known)
        rows = self._ledger.queued(self._number, 0, limit)
        self._more = len(rows) == limit
        self._waiting.extend(row for row in rows if row[1] not in known)
        if rows:
            size = sum(len(row[4] or b"") for row in rows) // len(rows) + 100
            self._chunk = min(READ, max(1, READ_BYTES // size))
        return bool(self._waiting)

    # --- orders -------------------------------------------------------------------------------

    def _make(self, directory: str) -> None:
        if directory not in self._made:
            os.makedirs(directory, 0o700, exist_ok=True)
            self._made.add(directory)

    def _order(self, job: Running, bulk: Bulk, payload: bytes | None) -> dict[str, Any]:
        directory = f"{self._spool}/{job.job_id[:2]}/{job.job_id}"
        self._make(os.path.dirname(directory))
        context = bulk.context
        extra = read_environment(directory) if bulk.has_own_variables else {}
        cwd = context.cwd
        if bulk.is_call:
            what: dict[str, Any] = {
                "kind": "call",
                "python": context.python,
                "path": context.path,
                "preload": self._preload,
                "shared": bulk.shared,
                "payload": payload,
                "payload_file": directory + "/payload.pkl" if payload is None else None,
            }
        else:
            if payload is None:
                payload = spool.read_payload(Path(self._spool), job.job_id)
            command: Command = pickle.loads(payload)
            what = {
                "kind": "spawn",
                "argv": [os.fsencode(argument) for argument in command.argv],
                "stdin": _lay(command, directory),
            }
            extra.update((os.fsencode(name), os.fsencode(value)) for name, value in command.env.items())
            if command.cwd is not None:
                cwd = os.path.join(context.cwd, os.fsencode(command.cwd))
        return {
            "op": "start",
            "id": job.job_id,
            "attempt": job.attempt,
            "spool": directory,
            "cwd": cwd,
            "environment": context.environment,
            "extra": extra,
            "walltime": bulk.resources.walltime,
            "grace": self.grace,
            "durable": self._durable,
            "queue": self._number,
            "slots": job.slots,
            "room": self._slots,
            "what": what,
        }


def _lay(command: Command, directory: str) -> str | None:
    """Lay the files of a command into its directory; return the one that it reads, if it reads any."""
    if not command.files and command.stdin is None:
        return None
    os.makedirs(directory, 0o700, exist_ok=True)
    lay_files(command, Path(directory))
    if command.stdin is None:
        return None
    path = directory + "/stdin"
    write_private(path, command.stdin.content or b"")
    return path


def read_environment(directory: str) -> dict[bytes, bytes]:
    """Return the variables that plugins have for a job alone."""
    try:
        descriptor = spool.open_own(Path(directory, ENVIRONMENT))
    except FileNotFoundError:
        return {}
    with open(descriptor, "rb") as stream:
        return msgspec.msgpack.decode(stream.read(), type=dict[bytes, bytes], strict=False)


def drop_environment(directory: str) -> None:
    """A job has ended: nobody needs its variables any more."""
    try:
        os.unlink(f"{directory}/{ENVIRONMENT}")
    except FileNotFoundError:
        return
