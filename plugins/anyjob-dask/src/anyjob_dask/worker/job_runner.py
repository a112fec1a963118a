"""What a worker does for a job: it runs the work, can end it, and keeps what it writes."""

from __future__ import annotations

import asyncio
import atexit
import os
import pickle
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anyjob import Call, Command, Order, Outcome, Resources, Spec
from anyjob.sdk import (
    JobRun,
    WorkerProcess,
    outcome_from_report,
    read_range,
    run_program,
    runner,
    use_job_environment,
)
from anyjob_dask.messages import JobHeader, JobResult
from anyjob_dask.serialization import serialize, unpicklable_result
from anyjob_dask.worker import process_call
from anyjob_dask.worker.capture import STREAMS, Capture
from anyjob_dask.worker.job_results import MAX_LOG, Logs, cancelled_result, log_tails, result_of
from anyjob_dask.worker.start_reports import StartReports
from anyjob_dask.worker.work import Work

MAX_WRITTEN_IN_LOOP = 64 * 1024
"""Bytes up to which a message to a process is written in the event loop: its socket has room for them."""
MAX_REMEMBERED = 1000
"""Jobs that are remembered which were cancelled before they came, and as many of those that have ended."""


class JobRunner:
    """Runs jobs for a worker, which sees to it that there are never more than it has threads.

    Args:
        loop: the worker's event loop.
        send: called in that loop, sends a message to the scheduler.
    """

    def __init__(self, loop: Any, send: Any) -> None:
        self._starts = StartReports(loop, send)
        self._lock = threading.Lock()
        self._runs: dict[str, JobRun] = {}
        self._directory = Path(tempfile.mkdtemp(prefix="anyjob-dask-worker-"))
        self._started_processes = 0
        self._idle: list[WorkerProcess] = []
        self._processes: dict[str, WorkerProcess] = {}
        self._captures: dict[str, Capture] = {}
        self._cancelled: dict[str, None] = {}
        self._ended_jobs: dict[str, None] = {}
        atexit.register(_close, weakref.ref(self), os.getpid())

    # --- a call in a process ------------------------------------------------------------------------

    async def call(self, job: JobHeader, work: Work) -> JobResult:
        """Make a call in a warm process; called in the worker's event loop."""
        run = self._start_job(job, _CALL)
        try:
            if not run.begin():
                return cancelled_result()
            try:
                return await self._call_in_process(run, job, work)
            except Exception as error:  # no process can be started, or what is to be called cannot be read
                run.finish(outcome_from_report(runner.failure(error)))
                return result_of(run.outcome, {})
        finally:
            self._end_job(job.job_id)

    async def _call_in_process(self, run: JobRun, job: JobHeader, work: Work) -> JobResult:
        directory = os.path.join(self._directory, job.job_id)
        if process_call.needs_files(work):
            pickled = await asyncio.to_thread(process_call.pickled_call, work, directory)
        else:
            pickled = process_call.pickled_call(work, directory)
        if run.cancelled:  # meanwhile
            return cancelled_result()
        process = self._processes[job.job_id] = self._idle_process()
        try:
            with run.process(process.pid):
                report = await _request(process, pickled, run.order.environment, _working_directory(job))
        except BaseException:  # the Dask worker closes
            process.close()
            raise
        if report is None or run.cancelled or run.overdue:
            run.finish(await asyncio.to_thread(process.died))
            return result_of(run.outcome, _taken(process.last_logs()))
        value = report.pop("value", None)
        logs = _taken(process.last_logs())
        returned = None if value is None else process_call.returned_value(directory, value)
        self._idle.append(process)
        return JobResult(report, returned, logs)

    def _idle_process(self) -> WorkerProcess:
        """Return a process that has nothing to do: a warm one, or a new one."""
        while self._idle:
            process = self._idle.pop()
            if process.alive():
                return process
            process.close()  # somebody ended it meanwhile
        self._started_processes += 1
        return WorkerProcess(sys.executable, self._directory, self._started_processes)

    # --- a program ----------------------------------------------------------------------------------

    def run_program(self, job: JobHeader, work: Work) -> JobResult:
        """Run a program, in the thread that calls."""
        try:
            work.check()
        except runner.NoResult as error:
            return JobResult(runner.failure(error), None, {})
        payload = work.payload
        spec = pickle.loads(payload) if isinstance(payload, bytes) else payload.load()
        run = self._start_job(job, spec)
        try:
            directory = self._directory / job.job_id
            if run.begin():
                run.finish(_outcome_of_program(run, job, directory))
            written = [stream for stream in STREAMS if (directory / stream).exists()]
            tails = log_tails({stream: (directory / stream, 0, None) for stream in written})
            return result_of(run.outcome, tails)
        finally:
            self._end_job(job.job_id)

    def _start_job(self, job: JobHeader, spec: Spec) -> JobRun:
        """From now on there is this job; it is cancelled already if that was asked for before it came."""
        job_id = job.job_id
        run = JobRun(
            Order(
                job_id=job_id,
                spec=spec,
                resources=_NO_RESOURCES if job.walltime is None else Resources(walltime=job.walltime),
                environment={"ANYJOB_JOB_ID": job_id, **job.environment},
            )
        )
        with self._lock:
            self._runs[job_id] = run
            if job_id in self._cancelled:
                del self._cancelled[job_id]
                run.cancel()
        self._starts.started(job_id)
        return run

    def _end_job(self, job_id: str) -> None:
        self._starts.ended(job_id)
        with self._lock:
            self._runs.pop(job_id, None)
            self._processes.pop(job_id, None)
            _remember(self._ended_jobs, job_id)
        directory = os.path.join(self._directory, job_id)
        if os.path.isdir(directory):
            shutil.rmtree(directory, ignore_errors=True)

    # --- a call in a thread -------------------------------------------------------------------------

    def call_in_thread(self, job: JobHeader, work: Work) -> JobResult:
        """Make a call in the thread that calls this."""
        job_id = job.job_id
        capture = Capture()
        with self._lock:
            if job_id in self._cancelled:
                del self._cancelled[job_id]
                return cancelled_result()
            self._captures[job_id] = capture
        self._starts.started(job_id)
        try:
            with use_job_environment({"ANYJOB_JOB_ID": job_id, **job.environment}), capture:
                fields = runner.perform(work.load)
        finally:
            self._starts.ended(job_id)
            with self._lock:
                del self._captures[job_id]
                _remember(self._ended_jobs, job_id)
        value = None
        if fields["status"] == "DONE":
            returned = fields.pop("value")
            try:
                value = serialize(returned)
            except Exception as error:  # whatever the class of what it returned makes of pickling
                fields.update(unpicklable_result(error, type(returned).__name__))
        return JobResult({"host": os.uname().nodename, **fields}, value, capture.tails(MAX_LOG))

    # --- what clients ask -----------------------------------------------------------------------------

    def read_logs(self, job_id: str, stream: str, offset: int) -> bytes:
        """Return what a job that runs has written from an offset on."""
        capture = self._captures.get(job_id)
        if capture is not None:
            return capture.read(stream, offset)
        process = self._processes.get(job_id)
        if process is not None:
            path, start, _ = process.next_logs()[stream]
            return read_range(path, start + offset)
        if job_id not in self._runs:
            return b""
        return read_range(self._directory / job_id / stream, offset)

    def cancel(self, job_id: str) -> str:
        """End a job that runs: ``ending``; of one that has ended, or is a call in a thread: ``refused``.

        One that has ``not-begun`` will not any more.
        """
        with self._lock:
            run = self._runs.get(job_id)
            if run is None and job_id not in self._captures:
                if job_id in self._ended_jobs:
                    return "refused"
                _remember(self._cancelled, job_id)
                return "not-begun"
        if run is None or not run.cancel():
            return "refused"
        threading.Thread(
            target=JobRun.end_processes, args=([run],), name="anyjob-dask-cancel", daemon=True
        ).start()
        return "ending"

    def close(self) -> None:
        """End what runs, and remove what the jobs wrote."""
        runs = list(self._runs.values())
        JobRun.end_processes([run for run in runs if run.cancel()])
        shutil.rmtree(self._directory, ignore_errors=True)


def _close(reference: weakref.ref[JobRunner], process: int) -> None:
    """The worker's process ends; of a fork of it, nothing is ours."""
    found = reference()
    if found is not None and os.getpid() == process:
        found.close()


def _outcome_of_program(run: JobRun, job: JobHeader, directory: Path) -> Outcome:
    spec = run.order.spec
    assert isinstance(spec, Command)
    cwd = _working_directory(job)
    try:
        return run_program(spec, run.order.environment, directory, cwd=cwd, while_running=run.process)
    except Exception as error:  # its files cannot be written
        return outcome_from_report(runner.failure(error))


def _working_directory(job: JobHeader) -> str | None:
    """Return the directory that a job asks for, or where it was submitted if there is that here."""
    return job.cwd if job.cwd is not None and (job.own_cwd or os.path.isdir(job.cwd)) else None


async def _request(
    process: WorkerProcess, payload: bytes, environment: Mapping[str, str], cwd: str | None
) -> dict[str, Any] | None:
    """Have a warm process make a call, and wait for its report: large messages in a thread."""
    if len(payload) + sum(map(len, environment.values())) > MAX_WRITTEN_IN_LOOP:
        await asyncio.to_thread(process.send, payload, environment, cwd)
    else:
        process.send(payload, environment, cwd)
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(process.fileno(), _set, readable)
    try:
        await readable
    finally:
        loop.remove_reader(process.fileno())
    return process.receive() if process.has_answered() else await asyncio.to_thread(process.receive)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _taken(logs: Logs) -> dict[str, bytes]:
    """Return the end of what a call in a process has written, and remove the files."""
    tails = log_tails(logs)
    for path, _, _ in logs.values():
        path.unlink(missing_ok=True)
    return tails


def _remember(jobs: dict[str, None], job_id: str) -> None:
    jobs[job_id] = None
    while len(jobs) > MAX_REMEMBERED:
        del jobs[next(iter(jobs))]


_CALL = Call("builtins:print")  # what is called is in the payload
_NO_RESOURCES = Resources()
