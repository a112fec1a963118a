"""The type ``processes``: calls in worker processes of the program that submits them."""

from __future__ import annotations

import functools
import os
from typing import Annotated, Any

import msgspec

from anyjob.builtin.pool import PoolBackend
from anyjob.builtin.pool_job import PoolJob
from anyjob.execution.reports import outcome_from_report
from anyjob.execution.submit_directory import submit_directory
from anyjob.execution.worker_process import Logs, WorkerProcess
from anyjob.jobtypes import dump_call
from anyjob.orders import Options, Order
from anyjob.specs import Call, Outcome


class ProcessesOptions(Options, frozen=True):
    """Options of the type ``processes``.

    Args:
        slots: how many jobs run at a time; by default the number of cores.
        python: the interpreter that calls run with; by default this one.
    """

    slots: Annotated[int, msgspec.Meta(ge=1, description="how many jobs run at a time")] = len(
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    python: Annotated[
        str, msgspec.Meta(description="the interpreter that calls run with; by default this one")
    ] = ""


class ProcessesBackend(PoolBackend):
    """Type ``processes``: calls in worker processes, a worker a slot; commands as children.

    The caller is not forked and needs no ``__main__`` guard. A call that ends its process fails
    alone: its worker is replaced. What calls write goes to their logs.
    """

    Options = ProcessesOptions

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options or ProcessesOptions())
        self._idle_workers: list[WorkerProcess] = []  # the one that was used last is last
        self._worker_count = 0

    @property
    def slots(self) -> int:
        """How many jobs run at a time."""
        return int(self.options.slots)

    def _make_job(self, order: Order) -> PoolJob:
        job = super()._make_job(order)
        if isinstance(order.spec, Call):
            job.call, job.cwd = dump_call(order.spec), submit_directory()
        return job

    def _run_call(self, job: PoolJob) -> Outcome:
        assert job.call is not None
        worker = self._take_worker()
        try:
            with job.process(worker.pid):
                worker.send(job.call, job.order.environment, job.cwd)
                self._logs[job.order.job_id] = worker.next_logs()
                report = worker.receive()
        except BaseException:
            worker.close()
            raise
        if report is not None and not job.cancelled and not job.overdue:
            outcome = outcome_from_report(report)
            self._keep_logs(job.order.job_id, worker.last_logs())
            self._return_worker(worker)
        else:
            outcome = worker.died()
            self._keep_logs(job.order.job_id, worker.last_logs())
        return outcome

    def _take_worker(self) -> WorkerProcess:
        """Return a worker that has nothing to do."""
        while True:
            with self._lock:
                worker = self._idle_workers.pop() if self._idle_workers else None
                if worker is None:
                    self._worker_count += 1
                    number = self._worker_count
            if worker is None:
                return WorkerProcess(self.options.python, self._temporary_directory(), number)
            if worker.alive():
                return worker
            worker.close()  # somebody ended it while it had nothing to do

    def _return_worker(self, worker: WorkerProcess) -> None:
        with self._lock:
            if not self.is_closed:
                self._idle_workers.append(worker)
                return
        worker.close()

    def _end_workers(self) -> None:
        with self._lock:
            workers, self._idle_workers = self._idle_workers, []
        for worker in workers:
            worker.close()

    def _keep_logs(self, job_id: str, logs: Logs) -> None:
        if logs:
            self._logs[job_id] = logs
            self.when_forgotten(job_id, functools.partial(self._remove_logs, job_id))
        else:
            del self._logs[job_id]

    def _remove_logs(self, job_id: str) -> None:
        logs = self._logs.pop(job_id, {})
        if os.getpid() == self._pid:  # else they are our parent's
            for path, _, _ in logs.values():
                path.unlink(missing_ok=True)
