"""What Dask calls in a worker: the functions of tasks, and those that a client calls there directly."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from distributed import get_worker

from anyjob_dask import protocol
from anyjob_dask.messages import JobHeader, JobResult
from anyjob_dask.serialization import Serialized
from anyjob_dask.worker.job_runner import JobRunner
from anyjob_dask.worker.work import Need, Work

# --- the functions of tasks -----------------------------------------------------------------------


async def call(
    header: Sequence[Any], payload: bytes | Serialized, results: Sequence[JobResult] = ()
) -> JobResult:
    """Make a call in a process beside the worker: meanwhile no thread of it waits for that.

    Args:
        header: the fields of a `JobHeader`.
        payload: the call, serialized.
        results: those of the jobs that the header names, in that order: Dask has them before it calls this.
    """
    worker = get_worker()
    job = JobHeader(*header)
    return _finish(worker, job, await runner_of(worker).call(job, Work(payload, _needs(job, results))))


def call_in_thread(
    header: Sequence[Any], payload: bytes | Serialized, results: Sequence[JobResult] = ()
) -> JobResult:
    """Make a call in a thread of the worker, as `call` does in a process."""
    worker = get_worker()
    job = JobHeader(*header)
    work = Work(payload, _needs(job, results))
    return _finish(worker, job, runner_of(worker).call_in_thread(job, work))


def run_program(
    header: Sequence[Any], payload: bytes | Serialized, results: Sequence[JobResult] = ()
) -> JobResult:
    """Run a program as a child of the worker; of the jobs that it starts after only the success counts."""
    worker = get_worker()
    job = JobHeader(*header)
    work = Work(payload, _needs(job, results))
    return _finish(worker, job, runner_of(worker).run_program(job, work))


def _needs(job: JobHeader, results: Sequence[JobResult]) -> dict[str, Need]:
    """Return what a job needs of the results that it was given."""
    given = zip(job.needs, results, strict=True)
    return {job_id: Need.of(result, is_used=job_id not in job.unused) for job_id, result in given}


def _finish(worker: Any, job: JobHeader, result: JobResult) -> JobResult:
    """Have a result go to the scheduler with the end of its task, where it is small."""
    small = result.to_small_bytes()
    task = worker.state.tasks.get(job.key)
    if small is not None and task is not None:
        task.metadata[protocol.RESULT_METADATA] = small
    return result


# --- called by clients ----------------------------------------------------------------------------


def cancel(job_ids: Sequence[str], dask_worker: Any = None) -> dict[str, str]:
    """End jobs that run, and have those that have not begun never begin. See `JobRunner.cancel`."""
    runner = runner_of(dask_worker)
    return {job_id: runner.cancel(job_id) for job_id in job_ids}


def read_logs(job_id: str, stream: str, offset: int, dask_worker: Any = None) -> bytes:
    """Return what a job that runs has written from an offset on."""
    return runner_of(dask_worker).read_logs(job_id, stream, offset)


def peek_result(key: str, dask_worker: Any = None) -> JobResult | None:
    """Return the result of a task that the worker holds, with an empty value in place of a large one."""
    result = dask_worker.data.get(key)
    if result is None:
        return None
    return JobResult(result.fields, None if result.value is None else Serialized(b""), result.logs)


_runners: WeakKeyDictionary[Any, JobRunner] = WeakKeyDictionary()
_runners_lock = threading.Lock()


def runner_of(worker: Any) -> JobRunner:
    """Return the job runner of a worker, made when it is first used."""
    runner = _runners.get(worker)
    if runner is None:
        with _runners_lock:
            runner = _runners.get(worker)
            if runner is None:
                runner = _runners[worker] = JobRunner(worker.loop, worker.batched_send)
    return runner
