"""What a worker does for a job: it runs the work, can end it, and keeps what it writes."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from anyjob.backend import BackendConfiguration
from anyjob.builtin.pool_job import VARIABLES, Endable, Work
from anyjob.builtin.pools import Logs
from anyjob.builtin.processes import ProcessesBackend, Worker
from anyjob.execution import runner
from anyjob.execution.spool import read_range
from anyjob.orders import Order, Ticket
from anyjob.specs import Call, Resources, Spec
from anyjob.status import JobStatus
from anyjob.taskbackend import HOST, to_outcome
from anyjob_dask import process_call
from anyjob_dask.capture import STREAMS, Capture
from anyjob_dask.messages import RESULT, Ended
from anyjob_dask.serialization import Serialized, pack, refuse

SOON = 0.02
"""Seconds that a job runs before its start is told, so that short ones cost no message."""
WRITTEN = 16 * 1024 * 1024
"""Bytes of each stream that come back with the result: the end of it."""
SHORT = 64 * 1024
"""Bytes up to which a message to a process is sent in the event loop: it has room for them."""
GROWN = 64 * 1024 * 1024
"""Bytes of what a warm process has written, from which another takes its place."""
REMEMBERED = 1000
"""Jobs that are remembered which were cancelled before they came, and as many of those that have ended."""


class Head(NamedTuple):
    """What a worker is told of a job, beside the work itself."""

    key: str
    job_id: str
    environment: Mapping[str, str]
    walltime: float | None
    cwd: str | None


async def call(head: Sequence[Any], body: bytes | Serialized) -> Ended:
    """The task in Dask that makes a call in a process: meanwhile no thread waits for that."""
    from distributed import get_worker

    worker = get_worker()
    told = Head(*head)
    return _left(worker, told, await of(worker).call(told, body))


def call_here(head: Sequence[Any], body: bytes | Serialized) -> Ended:
    """The task in Dask that makes a call in a thread of the worker."""
    from distributed import get_worker

    worker = get_worker()
    told = Head(*head)
    return _left(worker, told, of(worker).call_here(told, body))


def run(head: Sequence[Any], body: bytes | Serialized) -> Ended:
    """The task in Dask that runs a program."""
    from distributed import get_worker

    worker = get_worker()
    told = Head(*head)
    return _left(worker, told, of(worker).run_program(told, body))


def _left(worker: Any, head: Head, ended: Ended) -> Ended:
    """Have what came of a job go to the scheduler with its end, where it is small."""
    small = ended.small()
    task = worker.state.tasks.get(head.key)
    if small is not None and task is not None:
        task.metadata[RESULT] = small
    return ended


def cancel(job_ids: Sequence[str], dask_worker: Any = None) -> dict[str, str]:
    """Called in a worker: end jobs that run. See `JobRunner.stop`."""
    bench = of(dask_worker)
    return {job_id: bench.stop(job_id) for job_id in job_ids}


def read_logs(job_id: str, stream: str, offset: int, dask_worker: Any = None) -> bytes:
    """Called in a worker: return what a job that runs has written from an offset on."""
    return of(dask_worker).read(job_id, stream, offset)


def peek(key: str, dask_worker: Any = None) -> Ended | None:
    """Called in a worker: return what came of a job that it holds, with an empty parcel for the value."""
    ended = dask_worker.data.get(key)
    if ended is None:
        return None
    return Ended(ended.fields, None if ended.value is None else Serialized(b""), ended.logs)


_benches: WeakKeyDictionary[Any, JobRunner] = WeakKeyDictionary()
_guard = threading.Lock()


def of(worker: Any) -> JobRunner:
    """Return the bench of a worker."""
    bench = _benches.get(worker)
    if bench is None:
        with _guard:
            bench = _benches.get(worker)
            if bench is None:
                bench = _benches[worker] = JobRunner(worker.loop, worker.batched_send)
    return bench


class JobRunner(ProcessesBackend):
    """Runs jobs for a worker, which sees to it that there are never more than it has threads.

    Args:
        loop: the worker's event loop.
        send: called in that loop, sends a message to the scheduler.
    """

    def __init__(self, loop: Any, send: Any) -> None:
        super().__init__(BackendConfiguration("dask-worker"))
        self._loop = loop
        self._send = send
        self._idle: list[Worker] = []
        self._callees: dict[str, Worker] = {}
        self._captures: dict[str, Capture] = {}
        self._cancelled: dict[str, None] = {}
        self._over: dict[str, None] = {}
        self._begun: dict[str, float] = {}
        self._ticks = threading.Event()
        self._ticker: threading.Thread | None = None

    # --- a call in a process ------------------------------------------------------------------------

    async def call(self, head: Head, body: bytes | Serialized) -> Ended:
        """Make a call in a warm process, called in the worker's event loop."""
        work = self._take_up(head, _CALL)
        try:
            if not self._begins(work):
                return _never_begun()
            try:
                return await self._called(work, head, body)
            except Exception as error:
                self._settle(work, to_outcome(runner.failure(error)))
                return _packed_up(work, {})
        finally:
            self._put_down(head.job_id)

    async def _called(self, work: Work, head: Head, body: bytes | Serialized) -> Ended:
        directory = os.path.join(self._home(), head.job_id)
        if isinstance(body, Serialized):
            payload = await asyncio.to_thread(process_call.payload, body, directory)
        else:
            payload = process_call.payload(body, directory)
        if work.cancelled:  # meanwhile
            return _never_begun()
        process = self._callees[head.job_id] = self._warm()
        started = time.time()
        try:
            with Endable(work, process.pid, self._end):
                said = await _asked(process, pickle.dumps((payload, work.order.environment, work.cwd), 5))
        except BaseException:  # the Dask worker closes
            process.close()
            raise
        if said is None or work.cancelled or work.overdue:
            self._settle(work, await asyncio.to_thread(self._said, work, process, said, started))
            return _packed_up(work, process.ended())
        value = said.pop("value", None)
        logs = process.ended()
        ended = Ended(said, None if value is None else process_call.returned(directory, value), _ends(logs))
        if logs and any(size >= GROWN for _, size, _ in process.logs().values()):
            asyncio.get_running_loop().run_in_executor(None, _retire, process)
        else:
            self._idle.append(process)
        return ended

    def _warm(self) -> Worker:
        """Return a process that has nothing to do."""
        while self._idle:
            process = self._idle.pop()
            if process.alive():
                return process
            process.close()  # somebody ended it meanwhile
        return self._start()

    # --- a program, and a call in a thread ----------------------------------------------------------

    def run_program(self, head: Head, body: bytes | Serialized) -> Ended:
        """Run a program, in the thread that calls."""
        job_id = head.job_id
        work = self._take_up(head, pickle.loads(body) if isinstance(body, bytes) else body.load())
        try:
            self._do(work)
            place = self._home() / job_id
            written = [stream for stream in STREAMS if (place / stream).exists()]
            return _packed_up(work, {stream: (place / stream, 0, None) for stream in written})
        finally:
            self._put_down(job_id)

    def _take_up(self, head: Head, spec: Spec) -> Work:
        """From now on there is this job; it is cancelled already if that was said before it came."""
        job_id = head.job_id
        order = Order(
            job_id=job_id,
            spec=spec,
            resources=_NO_RESOURCES if head.walltime is None else Resources(walltime=head.walltime),
            environment={**head.environment, "ANYJOB_JOB_ID": job_id},
            spool=None if spec is _CALL else self._home() / job_id,
        )
        work = Work(order)
        work.cwd = head.cwd if head.cwd is not None and os.path.isdir(head.cwd) else None
        with self._lock:
            self._works[job_id] = work
            if job_id in self._cancelled:
                del self._cancelled[job_id]
                work.cancelled = True
        self._note_start(job_id)
        return work

    def _put_down(self, job_id: str) -> None:
        self._begun.pop(job_id, None)
        with self._lock:
            self._works.pop(job_id, None)
            self._callees.pop(job_id, None)
            _remember(self._over, job_id)
        self._forget(job_id)

    def call_here(self, head: Head, body: bytes | Serialized) -> Ended:
        """Make a call in the thread that calls."""
        job_id = head.job_id
        parcel = Serialized(body) if isinstance(body, bytes) else body
        capture = Capture()
        with self._lock:
            if job_id in self._cancelled:
                del self._cancelled[job_id]
                return _never_begun()
            self._captures[job_id] = capture
        self._note_start(job_id)
        token = VARIABLES.set({**head.environment, "ANYJOB_JOB_ID": job_id})
        try:
            with capture:
                said = runner.perform(parcel.load)
        finally:
            VARIABLES.reset(token)
            self._begun.pop(job_id, None)
            with self._lock:
                del self._captures[job_id]
                _remember(self._over, job_id)
        value = None
        if said["status"] == "DONE":
            returned = said.pop("value")
            try:
                value = pack(returned)
            except Exception as error:
                said.update(refuse(error, type(returned).__name__))
        return Ended({"host": HOST, **said}, value, capture.ends(WRITTEN))

    # --- what it writes ---------------------------------------------------------------------------

    def read(self, job_id: str, stream: str, offset: int) -> bytes:
        """Return what a job that runs has written from an offset on."""
        capture = self._captures.get(job_id)
        if capture is not None:
            return capture.read(stream, offset)
        process = self._callees.get(job_id)
        if process is not None:
            path, start, _ = process.logs()[stream]
            return read_range(path, start + offset)
        if job_id not in self._works:
            return b""
        return read_range(self._home() / job_id / stream, offset)

    def _forget(self, job_id: str) -> None:
        directory = os.path.join(self._home(), job_id)
        if os.path.isdir(directory):
            shutil.rmtree(directory, ignore_errors=True)

    # --- starts and ends ----------------------------------------------------------------------------

    def stop(self, job_id: str) -> str:
        """End a job that runs: ``ending``; of one that has ended, or is a call in a thread: ``busy``.

        One that is ``idle`` has not begun, and will not any more.
        """
        with self._lock:
            if job_id not in self._works and job_id not in self._captures:
                if job_id in self._over:
                    return "busy"
                _remember(self._cancelled, job_id)
                return "idle"
        if job_id in self._captures:
            return "busy"
        ticket = Ticket(job_id=job_id, native_id="", submitted=0.0)
        return "ending" if self.terminate([ticket])[job_id] else "busy"

    def _note_start(self, job_id: str) -> None:
        self._begun[job_id] = time.monotonic()
        if self._ticks.is_set():
            return
        with self._lock:
            self._ticks.set()
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, name="anyjob-starts", daemon=True)
                self._ticker.start()

    def _tick(self) -> None:
        """Tell of the starts of jobs that have run for a moment."""
        told: set[str] = set()
        while True:
            self._ticks.wait()
            time.sleep(SOON)
            if not self._begun:
                self._ticks.clear()
                told.clear()
                if self._begun:  # one that has just come and saw no need to wake us
                    self._ticks.set()
                continue
            old = time.monotonic() - SOON
            begun = {job_id for job_id, since in list(self._begun.items()) if since <= old}
            news = sorted(begun - told)
            told = begun
            if news:
                with suppress(RuntimeError):  # the worker's loop has closed
                    self._loop.add_callback(self._send, {"op": "anyjob_started", "job_ids": news})


async def _asked(worker: Worker, request: bytes) -> dict[str, Any] | None:
    """Have a warm process make a call, and wait for what it says: large messages in a thread."""
    if len(request) > SHORT:
        await asyncio.to_thread(worker.tell, request)
    else:
        worker.tell(request)
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(worker.fileno(), _set, readable)
    try:
        await readable
    finally:
        loop.remove_reader(worker.fileno())
    return worker.hear() if worker.has_answered() else await asyncio.to_thread(worker.hear)


def _retire(process: Worker) -> None:
    """End a process that has nothing to do, and whose logs have grown large."""
    process.close()
    for path, _, _ in process.logs().values():
        path.unlink(missing_ok=True)


def _packed_up(work: Work, logs: Logs) -> Ended:
    """Return what came of a job, and the end of what it wrote."""
    outcome = work.outcome
    if outcome is None:  # it was cancelled before it came
        return _never_begun()
    fields = {
        name: value
        for name in outcome.__struct_fields__
        if (value := getattr(outcome, name)) is not None and value != ""
    }
    value = fields.pop("value", None)
    fields["status"] = outcome.status.name
    return Ended(fields, None if value is None else Serialized(value), _ends(logs))


def _ends(logs: Logs) -> dict[str, bytes]:
    """Return the end of each stream that something was written to."""
    found = {}
    for stream, (path, start, stop) in logs.items():
        end = path.stat().st_size if stop is None else stop
        if end > start:
            found[stream] = read_range(path, max(start, end - WRITTEN), min(end - start, WRITTEN))
    return found


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _remember(jobs: dict[str, None], job_id: str) -> None:
    jobs[job_id] = None
    while len(jobs) > REMEMBERED:
        del jobs[next(iter(jobs))]


def _never_begun() -> Ended:
    return Ended({"status": JobStatus.CANCELLED.name, "finished": time.time()}, None, {})


_CALL = Call("builtins:print")  # what is called is in the payload
_NO_RESOURCES = Resources()
