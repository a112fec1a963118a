"""What the backends have in common whose jobs live and end with the program that submits them.

For work that must outlive it there are durable backends.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from anyjob.backend import Capabilities
from anyjob.builtin.pool_job import PoolJob
from anyjob.builtin.refusals import in_this_program
from anyjob.builtin.slot_threads import SlotThreads
from anyjob.execution.job_environment import use_job_environment
from anyjob.execution.job_run import JobRun
from anyjob.execution.submit_directory import submit_directory
from anyjob.orders import Answer, Observation, Order, Rejected, Ticket
from anyjob.outcome import LocalException, LocalValue, Outcome
from anyjob.process.forks import in_each_process
from anyjob.process.weak_collections import living
from anyjob.runtime.run_keywords import results_in
from anyjob.serialization.stored_values import store
from anyjob.specs import Call, Command
from anyjob.spool.private_files import read_range
from anyjob.spool.reports import outcome_from_report
from anyjob.standalone import runner
from anyjob.status import JobStatus
from anyjob.taskbackend import TaskBackend
from anyjob.tracking.watcher import was_closed

if TYPE_CHECKING:
    from pathlib import Path

    from anyjob.execution.worker_process import Logs
    from anyjob.tracking.records import JobRecord

CallLoader = Callable[[], tuple[Any, tuple[Any, ...], dict[str, Any]]]
"""Gives what to call, its positional and its keyword arguments."""

QUEUED = Observation(JobStatus.QUEUED)
RUNNING = Observation(JobStatus.RUNNING)
_NO_ATTEMPTS: Sequence[tuple[int, str, Outcome]] = ()


class PoolBackend(TaskBackend):
    """Runs work on threads of this process, up to a number of slots; commands as children of it."""

    accepts = frozenset({"command", "python"})
    capabilities = Capabilities(shared_files=True, logs=True, notifies=True, output_files=True)
    floor = 0
    runs_again = True
    has_threads_to_spare = True
    holds_results = True

    def __init__(self, configuration: Any, provider: Any = None, *, options: Any = None) -> None:
        super().__init__(configuration, provider, options=options)
        self._logs: dict[str, Logs] = {}
        self._attempts: dict[str, Sequence[tuple[int, str, Outcome]]] = {}
        in_each_process(self._make_own)
        _all[id(self)] = self

    def _make_own(self) -> None:
        self._jobs: dict[str, PoolJob] = {}
        self._threads = SlotThreads(self.slots, self._run_job, self._notify_end, f"anyjob-{self.name()}")
        self._lock = threading.Lock()
        self._directory: Path | None = None

    @property
    def slots(self) -> int:
        """How many jobs run at a time."""
        return 1

    @property
    def cpus(self) -> int:
        """How many cores a job may ask for."""
        return self.slots

    # --- the interface of a task backend ------------------------------------------------------

    def launch(self, orders: Sequence[Order]) -> Iterator[tuple[Order, Answer]]:
        """Queue the work; slots take it in that order."""
        orders = yield from self._refuse(orders)
        jobs = self._make_jobs(orders)
        with self._lock:
            self._check_open()
            self._threads.reserve(len(jobs))
            for job in jobs:
                self._jobs[job.order.job_id] = job
        for job in jobs:
            yield job.order, job.order.job_id
            self._threads.put(job)

    def observe(self, tickets: Sequence[Ticket]) -> dict[str, Observation]:
        """Look into memory."""
        seen = {}
        for ticket in tickets:
            job = self._jobs.get(ticket.job_id)
            if job is not None:
                if job.outcome is not None:
                    seen[ticket.job_id] = Observation(job.outcome.status)
                elif job.attempts:
                    seen[ticket.job_id] = job.observation()
                else:
                    seen[ticket.job_id] = RUNNING if job.running else QUEUED
        return seen

    def collect(self, tickets: Sequence[Ticket]) -> dict[str, Outcome]:
        """Hand over what came of the work, and keep nothing of it; what has not ended is kept."""
        jobs = [self._jobs.get(ticket.job_id) for ticket in tickets]
        found = {job.order.job_id: job.outcome for job in jobs if job and job.outcome}
        for job_id in found:
            self._jobs.pop(job_id, None)
        return found

    def terminate(self, tickets: Sequence[Ticket]) -> dict[str, bool]:
        """Take work out of the queue, or end the process that it runs in."""
        jobs = [job for ticket in tickets if (job := self._jobs.get(ticket.job_id)) is not None]
        cancelled = [job for job in jobs if self._cancel(job)]
        running = [job for job in cancelled if job.running]
        if running:
            threading.Thread(
                target=JobRun.end_processes, args=(running,), name="anyjob-cancel", daemon=True
            ).start()
        accepted = {job.order.job_id for job in cancelled}
        return {ticket.job_id: ticket.job_id in accepted for ticket in tickets}

    def _cancel(self, job: PoolJob) -> bool:
        """Cancel a job that has not ended; say whether that was accepted."""
        ends = self.capabilities.cancel_running or isinstance(job.order.spec, Command)
        accepted = job.cancel(ends=ends)
        if accepted and not job.running:
            self._notify_end(job)
        return accepted

    def logs(self, ticket: Ticket, stream: str, offset: int) -> bytes:
        """Read from the files that the work writes to."""
        logs = self._logs.get(ticket.job_id)
        if logs is None or stream not in logs:
            return super().logs(ticket, stream, offset)
        path, start, stop = logs[stream]
        size = 1 << 20 if stop is None else max(0, min(1 << 20, stop - start - offset))
        return read_range(path, start + offset, size)

    def close(self) -> None:
        """Cancel what has not ended, end what runs, and remove what the jobs wrote."""
        with self._lock:
            self.is_closed = True
        jobs = list(self._jobs.values())
        JobRun.end_processes([job for job in jobs if self._cancel(job) and job.running])
        stuck = any(job.running and not job.cancelled and job.outcome is None for job in jobs)
        self._threads.stop(0.1 if stuck else None)
        self.end_idle_workers()
        super().close()
        with self._lock:
            directory, self._directory = self._directory, None
        if directory is not None:
            _remove(directory)

    def _check_open(self) -> None:
        if self.is_closed:
            raise was_closed(self)

    # --- running a job ------------------------------------------------------------------------

    def _refuse(self, orders: Sequence[Order]) -> Generator[tuple[Order, Answer], None, list[Order]]:
        """Refuse what asks for something that is not kept here; return the others."""
        taken = []
        for order in orders:
            ends = self.capabilities.walltime or isinstance(order.spec, Command)
            reason = in_this_program(order.resources, self.cpus, keeps_walltime=ends)
            if reason:
                yield order, Rejected(reason)
            else:
                taken.append(order)
        return taken

    def _make_jobs(self, orders: Sequence[Order]) -> list[PoolJob]:
        """Make jobs of orders, in the thread that submits: what is wrong with one is raised there."""
        jobs = [PoolJob(order) for order in orders]
        for job in jobs:
            job.results = results_in(job.order.spec)
            if isinstance(job.order.spec, Command):  # a call in a thread has this process's own
                job.cwd = submit_directory()
        return jobs

    def _run_job(self, job: PoolJob) -> None:
        """Run a job, and keep what came of it; `_notify_end` is next."""
        while job.begin():
            outcome = self._run_attempt(job)
            step = job.goes_again(outcome)
            if step is None:
                job.finish(outcome)
                return
            self._attempts[job.order.job_id] = job.attempts
            if not self._waits_here(job, step.wait):
                return

    def _waits_here(self, job: PoolJob, wait: float) -> bool:
        """Have the next attempt of a job run when it is due; tell whether that is by who has run this one."""
        if not wait:
            return True
        timer = threading.Timer(wait, self._threads.put, (job,))
        timer.daemon = True
        timer.start()
        return False

    def ended_attempts(self, job_id: str) -> Sequence[tuple[int, str, Outcome]]:
        """Return what is kept in memory of them, as long as somebody holds a handle on the job."""
        return self._attempts.get(job_id, _NO_ATTEMPTS)

    def _run_attempt(self, job: PoolJob) -> Outcome:
        try:
            if self.services.watches:
                self.notify([job.order.job_id])
            outcome = self._run_command(job) if isinstance(job.order.spec, Command) else self._run_call(job)
        except Exception as error:  # it is what came of the job
            outcome = outcome_from_report(runner.failure(error))
        except BaseException:  # Ctrl-C in work that runs inline
            host, now = os.uname().nodename, time.time()
            job.finish(Outcome(status=JobStatus.CANCELLED, finished=now, host=host, attempt=job.attempt))
            raise
        return outcome

    def _notify_end(self, job: PoolJob) -> None:
        if job.outcome is not None:  # else it goes again
            job_id, job.call = job.order.job_id, None
            if job.attempts:
                self.when_forgotten(job_id, lambda: self._attempts.pop(job_id, None))
            for reference in job.results:
                reference.job = None  # who holds this job still is not to hold those
        self.notify([job.order.job_id])

    def _run_call(self, job: PoolJob) -> Outcome:
        """Run a call in the thread of a slot."""
        call = job.order.spec
        assert isinstance(call, Call)
        with use_job_environment(job.order.environment):
            report = self._perform(lambda: _with_results(job, call))
        if report["status"] == "DONE":
            report["value"] = _pickled_or_local(report["value"])
        return outcome_from_report(report)

    def _perform(self, load: CallLoader) -> dict[str, Any]:
        return runner.perform(load, keep=LocalException)

    def _run_command(self, job: PoolJob) -> Outcome:
        """Run a program as a child of this process."""
        from anyjob.execution.spawning import run_program  # of no use to a call

        order = job.order
        assert isinstance(order.spec, Command)
        assert order.spool is not None
        return run_program(order.spec, order.environment, order.spool, cwd=job.cwd, while_running=job.process)

    def _spool(self, record: JobRecord) -> Path | None:
        if record.native != "command":
            return None
        directory = self._temporary_directory() if record.outcome is None else self._directory
        return None if directory is None else directory / record.job_id

    def _forget(self, job_id: str) -> None:
        directory = self._directory
        if directory is not None:
            _remove(directory / job_id)

    def _temporary_directory(self) -> Path:
        with self._lock:
            self._check_open()
            if self._directory is None:
                import tempfile
                from pathlib import Path

                self._directory = Path(tempfile.mkdtemp(prefix="anyjob-"))
            return self._directory


def _remove(directory: Path) -> None:
    import shutil

    shutil.rmtree(directory, ignore_errors=True)


def _with_results(job: PoolJob, call: Call[Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return what to call, and its arguments, with the results of other jobs among them."""
    if job.results:
        from anyjob.runtime.dependencies.awaited_results import Values
        from anyjob.runtime.dependencies.job_arguments import with_references

        call = with_references(call, Values())
    return call.fn, call.args, call.kwargs


def _pickled_or_local(value: Any) -> Any:
    """Pickle a value, so that each ``result()`` is a fresh copy; hold it where it cannot be."""
    try:
        return store(value)
    except Exception:  # what a value's own pickling raises is not to be foreseen
        return LocalValue(value)


_all: weakref.WeakValueDictionary[int, PoolBackend] = weakref.WeakValueDictionary()


@atexit.register
def _close_all() -> None:
    """What these backends run ends with this process, whether or not anybody closed them."""
    for backend in living(_all).values():
        backend.close()
