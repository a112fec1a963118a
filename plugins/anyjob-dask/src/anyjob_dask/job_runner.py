"""What a worker does for a job: it runs the work, can end it, and keeps what it writes."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import time
from typing import Any

from anyjob.backend import BackendConfiguration
from anyjob.builtin.pool_job import VARIABLES, Endable, Work
from anyjob.builtin.processes import ProcessesBackend, Worker
from anyjob.execution import runner
from anyjob.execution.spool import read_range
from anyjob.orders import Order, Ticket
from anyjob.specs import Call, Resources, Spec
from anyjob.taskbackend import HOST, to_outcome
from anyjob_dask import process_call
from anyjob_dask.capture import STREAMS, Capture
from anyjob_dask.job_results import MAX_LOG, cancelled_result, log_tails, result_of
from anyjob_dask.messages import JobHeader, JobResult
from anyjob_dask.serialization import Serialized, serialize, unpicklable_result
from anyjob_dask.start_reports import StartReports

MAX_WRITTEN_IN_LOOP = 64 * 1024
"""Bytes up to which a message to a process is written in the event loop: its socket has room for them."""
MAX_PROCESS_LOG = 64 * 1024 * 1024
"""Bytes that a warm process has written, from which another one replaces it."""
MAX_REMEMBERED = 1000
"""Jobs that are remembered which were cancelled before they came, and as many of those that have ended."""


class JobRunner(ProcessesBackend):
    """Runs jobs for a worker, which sees to it that there are never more than it has threads.

    Args:
        loop: the worker's event loop.
        send: called in that loop, sends a message to the scheduler.
    """

    def __init__(self, loop: Any, send: Any) -> None:
        super().__init__(BackendConfiguration("dask-worker"))
        self._starts = StartReports(loop, send)
        self._idle: list[Worker] = []
        self._processes: dict[str, Worker] = {}
        self._captures: dict[str, Capture] = {}
        self._cancelled: dict[str, None] = {}
        self._ended_jobs: dict[str, None] = {}

    # --- a call in a process ------------------------------------------------------------------------

    async def call(self, job: JobHeader, payload: bytes | Serialized) -> JobResult:
        """Make a call in a warm process; called in the worker's event loop."""
        work = self._start_job(job, _CALL)
        try:
            if not self._begins(work):
                return cancelled_result()
            try:
                return await self._call_in_process(work, job, payload)
            except Exception as error:
                self._settle(work, to_outcome(runner.failure(error)))
                return result_of(work.outcome, {})
        finally:
            self._end_job(job.job_id)

    async def _call_in_process(self, work: Work, job: JobHeader, payload: bytes | Serialized) -> JobResult:
        directory = os.path.join(self._home(), job.job_id)
        if isinstance(payload, Serialized):
            pickled = await asyncio.to_thread(process_call.pickled_call, payload, directory)
        else:
            pickled = process_call.pickled_call(payload, directory)
        if work.cancelled:  # meanwhile
            return cancelled_result()
        process = self._processes[job.job_id] = self._idle_process()
        started = time.time()
        try:
            with Endable(work, process.pid, self._end):
                request = pickle.dumps((pickled, work.order.environment, work.cwd), 5)
                fields = await _request(process, request)
        except BaseException:  # the Dask worker closes
            process.close()
            raise
        if fields is None or work.cancelled or work.overdue:
            self._settle(work, await asyncio.to_thread(self._said, work, process, fields, started))
            return result_of(work.outcome, process.ended())
        value = fields.pop("value", None)
        logs = process.ended()
        returned = None if value is None else process_call.returned_value(directory, value)
        result = JobResult(fields, returned, log_tails(logs))
        if logs and any(size >= MAX_PROCESS_LOG for _, size, _ in process.logs().values()):
            asyncio.get_running_loop().run_in_executor(None, _retire, process)
        else:
            self._idle.append(process)
        return result

    def _idle_process(self) -> Worker:
        """Return a process that has nothing to do: a warm one, or a new one."""
        while self._idle:
            process = self._idle.pop()
            if process.alive():
                return process
            process.close()  # somebody ended it meanwhile
        return self._start()

    # --- a program ----------------------------------------------------------------------------------

    def run_program(self, job: JobHeader, payload: bytes | Serialized) -> JobResult:
        """Run a program, in the thread that calls."""
        work = self._start_job(job, pickle.loads(payload) if isinstance(payload, bytes) else payload.load())
        try:
            self._do(work)
            directory = self._home() / job.job_id
            written = [stream for stream in STREAMS if (directory / stream).exists()]
            return result_of(work.outcome, {stream: (directory / stream, 0, None) for stream in written})
        finally:
            self._end_job(job.job_id)

    def _start_job(self, job: JobHeader, spec: Spec) -> Work:
        """From now on there is this job; it is cancelled already if that was asked for before it came."""
        job_id = job.job_id
        order = Order(
            job_id=job_id,
            spec=spec,
            resources=_NO_RESOURCES if job.walltime is None else Resources(walltime=job.walltime),
            environment={**job.environment, "ANYJOB_JOB_ID": job_id},
            spool=None if spec is _CALL else self._home() / job_id,
        )
        work = Work(order)
        work.cwd = job.cwd if job.cwd is not None and os.path.isdir(job.cwd) else None
        with self._lock:
            self._works[job_id] = work
            if job_id in self._cancelled:
                del self._cancelled[job_id]
                work.cancelled = True
        self._starts.started(job_id)
        return work

    def _end_job(self, job_id: str) -> None:
        self._starts.ended(job_id)
        with self._lock:
            self._works.pop(job_id, None)
            self._processes.pop(job_id, None)
            _remember(self._ended_jobs, job_id)
        self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        directory = os.path.join(self._home(), job_id)
        if os.path.isdir(directory):
            shutil.rmtree(directory, ignore_errors=True)

    # --- a call in a thread -------------------------------------------------------------------------

    def call_in_thread(self, job: JobHeader, payload: bytes | Serialized) -> JobResult:
        """Make a call in the thread that calls this."""
        job_id = job.job_id
        serialized = Serialized(payload) if isinstance(payload, bytes) else payload
        capture = Capture()
        with self._lock:
            if job_id in self._cancelled:
                del self._cancelled[job_id]
                return cancelled_result()
            self._captures[job_id] = capture
        self._starts.started(job_id)
        token = VARIABLES.set({**job.environment, "ANYJOB_JOB_ID": job_id})
        try:
            with capture:
                fields = runner.perform(serialized.load)
        finally:
            VARIABLES.reset(token)
            self._starts.ended(job_id)
            with self._lock:
                del self._captures[job_id]
                _remember(self._ended_jobs, job_id)
        value = None
        if fields["status"] == "DONE":
            returned = fields.pop("value")
            try:
                value = serialize(returned)
            except Exception as error:
                fields.update(unpicklable_result(error, type(returned).__name__))
        return JobResult({"host": HOST, **fields}, value, capture.tails(MAX_LOG))

    # --- what clients ask -----------------------------------------------------------------------------

    def read_logs(self, job_id: str, stream: str, offset: int) -> bytes:
        """Return what a job that runs has written from an offset on."""
        capture = self._captures.get(job_id)
        if capture is not None:
            return capture.read(stream, offset)
        process = self._processes.get(job_id)
        if process is not None:
            path, start, _ = process.logs()[stream]
            return read_range(path, start + offset)
        if job_id not in self._works:
            return b""
        return read_range(self._home() / job_id / stream, offset)

    def cancel(self, job_id: str) -> str:
        """End a job that runs: ``ending``; of one that has ended, or is a call in a thread: ``refused``.

        One that has ``not-begun`` will not any more.
        """
        with self._lock:
            if job_id not in self._works and job_id not in self._captures:
                if job_id in self._ended_jobs:
                    return "refused"
                _remember(self._cancelled, job_id)
                return "not-begun"
        if job_id in self._captures:
            return "refused"
        ticket = Ticket(job_id=job_id, native_id="", submitted=0.0)
        return "ending" if self.terminate([ticket])[job_id] else "refused"


async def _request(process: Worker, request: bytes) -> dict[str, Any] | None:
    """Have a warm process make a call, and wait for its answer: large messages in a thread."""
    if len(request) > MAX_WRITTEN_IN_LOOP:
        await asyncio.to_thread(process.tell, request)
    else:
        process.tell(request)
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(process.fileno(), _set, readable)
    try:
        await readable
    finally:
        loop.remove_reader(process.fileno())
    return process.hear() if process.has_answered() else await asyncio.to_thread(process.hear)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _retire(process: Worker) -> None:
    """End a process that has nothing to do, and whose logs have grown large."""
    process.close()
    for path, _, _ in process.logs().values():
        path.unlink(missing_ok=True)


def _remember(jobs: dict[str, None], job_id: str) -> None:
    jobs[job_id] = None
    while len(jobs) > MAX_REMEMBERED:
        del jobs[next(iter(jobs))]


_CALL = Call("builtins:print")  # what is called is in the payload
_NO_RESOURCES = Resources()
