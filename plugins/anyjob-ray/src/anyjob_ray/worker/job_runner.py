"""Runs the jobs of one worker process, in its main thread."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any

from anyjob.sdk import runner
from anyjob_ray.worker.batch import Batch
from anyjob_ray.worker.command import run_command
from anyjob_ray.worker.job import Job, JobInterrupted, LaunchContext, WorkerState
from anyjob_ray.worker.monitor import Monitor
from anyjob_ray.worker.reports.notification import NotifyAddress, notify
from anyjob_ray.worker.reports.output import output_sizes
from anyjob_ray.worker.reports.result import pickle_outcome
from anyjob_ray.worker.results_as_arguments import load_with_results, unmet
from anyjob_ray.worker.signals import SignalHandling, task_id

perform, failure = runner.perform, runner.failure
CACHED_FUNCTIONS = 32
"""How many functions a worker process keeps unpickled."""


class JobRunner:
    """Runs jobs one after the other. It is made in the main thread, once a process."""

    def __init__(self) -> None:
        self._state = WorkerState()
        self._signals = SignalHandling(self._state)
        self._monitor = Monitor(self._state, self._signals)
        self._contexts: dict[bytes, LaunchContext] = {}
        self._functions: dict[bytes, Any] = {}
        self._host = os.uname().nodename

    def run(self, job: Job) -> Any:
        """Run a job.

        While it is the current one, a cancel raises nothing but in the job's own code; one that comes before
        it is, or after, raises what Ray takes for a cancel.

        Returns:
            What came of it, pickled; or a tuple of that and of the large parts of the value.
        """
        before = {name: os.environ.get(name) for name in job.environment}
        try:
            job.context = self._context(job.pickled_context)
            self._signals.install()
            self._signals.drain()  # those that came before are not to this job
            self._state.job = job
            self._monitor.job_started()
            os.environ.update(job.environment)
            job.output_offsets = output_sizes()
            outcome = self._perform(job)
            outcome["host"] = self._host
            result = pickle_outcome(job, outcome)
            listener = job.context.notify
            if listener is not None and isinstance(result, bytes) and outcome["status"] != "CANCELLED":
                notify(NotifyAddress(*listener), job.job_id, result)
            return result
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            self._state.job = None

    def run_batch(self, batch: Batch) -> Any:
        """Run the jobs of a batch one after the other.

        Returns:
            A pickled `BatchResult`; or a tuple of what `run` returns for the last job, whose value is large,
            and of that.
        """
        self._state.batch = batch if len(batch.jobs) > 1 else None
        self._state.last_batch_task = task_id()
        try:
            while (index := batch.start_next()) is not None:
                result = self.run(Job(pickle.loads(batch.jobs[index][1]), ()))
                if isinstance(result, tuple):
                    return *result, batch.result(index)
                batch.ended(index, result)
            return batch.result()
        finally:
            self._state.batch = None

    def _context(self, blob: bytes) -> LaunchContext:
        context = self._contexts.get(blob)
        if context is None:
            context = self._contexts[blob] = LaunchContext(*pickle.loads(blob))
            sys.path += [entry for entry in context.import_path if entry not in sys.path]
        return context

    def _perform(self, job: Job) -> dict[str, Any]:
        try:
            try:
                job.interruptible = True
                if job.end_reason:  # it was cancelled before it was interruptible
                    raise JobInterrupted
                why = unmet(job.before)
                if why is not None:
                    return failure(why)
                return run_command(job) if job.kind == "command" else self._call(job)
            finally:
                job.interruptible = False
        except JobInterrupted:
            return job.interrupted_outcome()

    def _call(self, job: Job) -> dict[str, Any]:
        if job.cwd is None:
            return perform(lambda: self._load(job), JobInterrupted)
        before = os.open(".", os.O_PATH | os.O_CLOEXEC)  # may have been removed
        try:
            return perform(lambda: self._load(job), JobInterrupted)
        finally:
            os.fchdir(before)
            os.close(before)

    def _load(self, job: Job) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Unpickle what to call, its positional and its keyword arguments."""
        if job.cwd is not None:
            os.chdir(job.cwd)
        blob, arguments = job.work
        function = self._functions.get(blob)
        if function is None:  # as Ray does it: a function is unpickled once by each worker process
            function = pickle.loads(blob)
            if len(self._functions) >= CACHED_FUNCTIONS:
                self._functions.clear()
            self._functions[blob] = function
        if job.results:
            args, kwargs = load_with_results(arguments, job.buffers, job.results)
        else:
            args, kwargs = pickle.loads(arguments, buffers=job.buffers)
        return function, args, kwargs
