"""The type ``processes``: calls in worker processes of the program that submits them."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from anyjob.backend import Capabilities
from anyjob.builtin.pool import PoolBackend
from anyjob.builtin.pool_job import PoolJob
from anyjob.execution.submit_directory import submit_directory
from anyjob.execution.worker_process import Logs, Outdated, PoolWorker, Surroundings
from anyjob.orders import Options, Order
from anyjob.outcome import Outcome
from anyjob.process import forks
from anyjob.serialization import stored_values
from anyjob.serialization.packed_call import Packer
from anyjob.specs import Call
from anyjob.spool.reports import outcome_from_report
from anyjob.standalone.call_server import current_variables


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
    capabilities = Capabilities(
        shared_files=True, logs=True, notifies=True, call_environment=True, output_files=True
    )

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options or ProcessesOptions())

    def _make_own(self) -> None:
        super()._make_own()
        self._idle_workers: list[PoolWorker] = []  # the one that was used last is last
        self._worker_count = 0
        self._surroundings: Surroundings | None = None

    @property
    def slots(self) -> int:
        """How many jobs run at a time."""
        return int(self.options.slots)

    def _make_jobs(self, orders: Sequence[Order]) -> list[PoolJob]:
        jobs = super()._make_jobs(orders)
        packer, surroundings = Packer(), self._current_surroundings()
        for job in jobs:
            if isinstance(job.order.spec, Call):
                job.call = packer.pack(job.order.spec), surroundings
                job.cwd = job.order.spec.cwd or submit_directory()
        return jobs

    def _current_surroundings(self) -> Surroundings:
        """Return what calls find that are handed over now; as long as that is the same, it is held once."""
        found, known = Surroundings(current_variables(), list(sys.path), time.time()), self._surroundings
        if known is not None and known[:2] == found[:2]:
            found = known._replace(submitted=found.submitted)
        self._surroundings = found
        return found

    def _run_call(self, job: PoolJob) -> Outcome:
        while True:
            worker = self._take_worker()
            try:
                return self._run_in(worker, job)
            except Outdated:
                worker.close()
            except BaseException:
                worker.close()
                raise

    def _run_in(self, worker: PoolWorker, job: PoolJob) -> Outcome:
        assert job.call is not None
        call, surroundings = job.call
        results: Mapping[str, Any] | None = None
        if job.results:
            from anyjob.runtime.dependencies.awaited_results import pickled

            results = pickled(job.results)
        with job.process(worker.pid):
            worker.send_call(
                call, job.order.environment, job.cwd, surroundings, stored_values.new_path(), results
            )
            self._logs[job.order.job_id] = worker.next_logs()
            report = worker.receive()
        if report is not None and not job.cancelled and not job.overdue:
            outcome = outcome_from_report(report)
            self._keep_logs(job.order.job_id, worker.last_logs())
            self._return_worker(worker)
        else:
            outcome = worker.died()
            self._keep_logs(job.order.job_id, worker.last_logs())
        return outcome

    def _take_worker(self) -> PoolWorker:
        """Return a worker that has nothing to do."""
        while True:
            with self._lock:
                worker = self._idle_workers.pop() if self._idle_workers else None
                if worker is None:
                    self._worker_count += 1
                    number = self._worker_count
            if worker is None:
                return PoolWorker(self.options.python, self._temporary_directory(), number)
            if worker.alive():
                return worker
            worker.close()  # somebody ended it while it had nothing to do

    def _return_worker(self, worker: PoolWorker) -> None:
        with self._lock:
            if not self.is_closed:
                self._idle_workers.append(worker)
                return
        worker.close()

    def end_idle_workers(self) -> None:
        """End the workers that have nothing to do."""
        with self._lock:
            workers, self._idle_workers = self._idle_workers, []
        for worker in workers:
            worker.close()

    def _keep_logs(self, job_id: str, logs: Logs) -> None:
        if logs:
            self._logs[job_id] = logs
            self.when_forgotten(job_id, functools.partial(self._remove_logs, job_id, forks.generation))
        else:
            del self._logs[job_id]

    def _remove_logs(self, job_id: str, generation: int) -> None:
        logs = self._logs.pop(job_id, {})
        if generation == forks.generation:  # else they are our parent's
            for path, _, _ in logs.values():
                path.unlink(missing_ok=True)
