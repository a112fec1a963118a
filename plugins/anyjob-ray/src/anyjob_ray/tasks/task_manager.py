"""The jobs of one process as Ray tasks that it owns, from their submission to their end."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from anyjob_ray.tasks.batch_submitter import BatchSubmitter, Launch, SubmittedBatch
from anyjob_ray.tasks.cancellation import Canceller
from anyjob_ray.tasks.failures import bereft_outcome, broken_outcome, failed_outcome, is_cancelled_error
from anyjob_ray.tasks.launch_queue import LaunchQueue, PackedJob
from anyjob_ray.tasks.object_refs import add_done_callback
from anyjob_ray.tasks.recovery import RecoveredBatch, recover_batch
from anyjob_ray.tasks.task import Task
from anyjob_ray.worker.batch import load_batch_result
from anyjob_ray.worker.remote_functions import run_job
from anyjob_ray.worker.reports.output import Location


class TaskManager:
    """Jobs by id.

    Args:
        on_result: called with an id, and what Ray gives for it, in a thread of Ray's, which must not be kept:
            `take_result` is to be called with both, elsewhere.
        announce_cancels: called with the ids of jobs that are about to be cancelled, and may be in a batch:
            when it returns, the worker must be able to learn of them from the event actor.
        durable: whether the jobs outlive their client.
    """

    def __init__(
        self,
        on_result: Callable[[str, Any], None],
        announce_cancels: Callable[[list[str]], None] = lambda job_ids: None,
        durable: bool = False,
    ) -> None:
        self.tasks: dict[str, Task] = {}
        self._on_result = on_result
        self._durable = durable
        self._functions: dict[tuple[Any, bytes], Any] = {}
        self._submitter = BatchSubmitter(self._remote_function, on_result, self._is_wanted)
        self._canceller = Canceller(self._submitter, on_result, announce_cancels)
        self._lock = threading.RLock()

    # --- submission -----------------------------------------------------------------------------

    def submit(
        self,
        jobs: Iterable[PackedJob],
        task_options: dict[str, Any],
        walltime: float | None,
        launch: Launch | None = None,
    ) -> list[str]:
        """Submit jobs; return the id of each.

        Those that are known already are not run again.

        Args:
            jobs: the jobs.
            task_options: what ``ray.remote`` is given for their tasks.
            walltime: seconds that each may run.
            launch: which launch they are of, if short ones may share a task; else each has one.
        """
        function = self._remote_function(run_job, task_options)
        with self._lock:
            queue = self._submitter.queue_of(launch, task_options) if launch is not None else None
            taken = [self._submit(job, function, queue, task_options, walltime) for job in jobs]
            if queue is not None:
                self._submitter.submit_pending(queue)
        return taken

    def _submit(
        self,
        job: PackedJob,
        function: Any,
        queue: LaunchQueue | None,
        task_options: dict[str, Any],
        walltime: float | None,
    ) -> str:
        job_id, payload, buffers, needs = job
        if job_id in self.tasks:
            return job_id
        task = self.tasks[job_id] = Task(
            job_id,
            walltime,
            task_options["max_retries"] > 0,
            [self.tasks[each] for each in needs if each in self.tasks],
            needs,
        )
        if queue is not None and not buffers and not needs:
            queue.pending.append(job)
            return job_id
        try:
            # By way of the task owner, they are views of what it was sent.
            task.ref = function.remote(payload, *map(pickle.PickleBuffer, buffers), *needs.values())
        except BaseException:
            del self.tasks[job_id]
            raise
        on_result = self._on_result
        add_done_callback(task.ref, lambda result: on_result(job_id, result))
        return job_id

    def refs(self, job_ids: Iterable[str]) -> dict[str, Any]:
        """Return the object refs of jobs that have a task of their own, or a large result, by their ids."""
        with self._lock:
            found = {job_id: self.tasks[job_id] for job_id in job_ids if job_id in self.tasks}
        return {
            job_id: ref
            for job_id, task in found.items()
            if (ref := task.ref or task.ended_ref) is not None and task.can_be_given
        }

    def _remote_function(self, function: Any, task_options: dict[str, Any]) -> Any:
        import ray

        key = function, pickle.dumps(sorted(task_options.items(), key=lambda item: item[0]))
        remote = self._functions.get(key)
        if remote is None:
            remote = self._functions[key] = ray.remote(**task_options)(function)
        return remote

    def _is_wanted(self, job_id: str) -> bool:
        task = self.tasks.get(job_id)
        return task is not None and task.is_open and not task.cancelled

    # --- what workers report ----------------------------------------------------------------------

    def job_started(self, job_id: str, location: Sequence[Any]) -> bool:
        """Note that a job runs, and where; return whether that is news.

        Args:
            job_id: ours.
            location: the fields of a `Location`.
        """
        task = self.tasks.get(job_id)
        if task is None or not task.is_open:
            return False
        task.location, task.started = Location(*location), time.monotonic()
        batch = self._submitter.batch_of(job_id)
        if task.cancelled and (batch is None or batch.interrupted):
            # Ray forgets a cancel that comes just as it hands the task to a worker.
            self._canceller.interrupt(task)
        elif batch is not None:
            batch.interrupted = False  # the one that was cancelled is over, and this one may be next
        return True

    def killing_job(self, job_id: str, reason: str) -> None:
        """Note that a worker is about to kill itself with its job, and why: it is not run again."""
        task = self.tasks.get(job_id)
        if task is not None and task.is_open:
            task.kill_reason = reason
            # Not without need: some versions of Ray end this process if a worker dies as a cancel comes.
            if task.retriable and not task.cancelled:
                self._canceller.cancel([task])

    def batch_progressed(
        self, batch_id: str, outcomes: Mapping[int, bytes], rest: Sequence[int]
    ) -> list[Task]:
        """Take in what came of some jobs of a batch so far; the rest is to be run by other tasks.

        Returns those that have ended.
        """
        with self._lock:
            batch = self._submitter.batch(batch_id)
            if batch is None:
                return []
            ended = self._end_jobs(batch, outcomes)
            self._submitter.requeue(batch, rest)
            self._submitter.submit_pending(batch.queue)
        return ended

    # --- how they end ---------------------------------------------------------------------------

    def take_result(self, name: str, result: Any) -> list[Task]:
        """Take in what Ray gave for a job, or for a batch; return the jobs that have ended by that."""
        with self._lock:
            batch = self._submitter.batch(name)
            return self._take_job(name, result) if batch is None else self._take_batch(batch, result)

    def _take_batch(self, batch: SubmittedBatch, result: Any) -> list[Task]:
        if isinstance(result, RecoveredBatch):
            ended = self._take_recovered(batch, result)
        elif isinstance(result, (bytes, tuple)):
            ended = self._take_returned(batch, result)
        elif batch.has_several:
            recover_batch(batch.batch_id, result, self._on_result)
            return []
        else:
            ended = self._end_jobs_by(batch, batch.open_jobs, result)
        self._submitter.task_ended(batch)
        return ended

    def _take_returned(self, batch: SubmittedBatch, returned: bytes | tuple[Any, ...]) -> list[Task]:
        result = load_batch_result(returned if isinstance(returned, bytes) else bytes(returned[-1]))
        ended = self._end_jobs(batch, result.outcomes)
        if result.large is not None:
            for _, job_id in self._submitter.close_jobs(batch, [result.large]):
                ended += self._take_job(job_id, returned[:-1], ref=batch.ref)
        batch.queue.adapt_batch_size(result)
        self._submitter.requeue(batch, result.not_run)
        return ended

    def _take_recovered(self, batch: SubmittedBatch, recovered: RecoveredBatch) -> list[Task]:
        """A worker has died, or what it returned was dropped: its journal tells what has begun."""
        batch.queue.reset_batch_size()
        # Which says that one was, but not whether it is the one that had begun.
        was_cancelled = is_cancelled_error(recovered.error)
        ended = self._end_jobs(batch, recovered.progress.outcomes)
        cause = "died" if was_cancelled else ""
        ended += self._end_jobs_by(batch, recovered.progress.begun, recovered.error, cause)
        if recovered.found or (recovered.searched_all and was_cancelled):
            self._submitter.requeue(batch, list(batch.open_jobs))
        return ended + self._end_jobs_by(batch, batch.open_jobs, recovered.error)

    def _end_jobs(self, batch: SubmittedBatch, outcomes: Mapping[int, bytes]) -> list[Task]:
        closed = self._submitter.close_jobs(batch, sorted(outcomes))
        return [task for index, job_id in closed for task in self._end_job(job_id, outcomes[index])]

    def _end_jobs_by(
        self, batch: SubmittedBatch, indices: Iterable[int], error: BaseException, cause: str = ""
    ) -> list[Task]:
        closed = self._submitter.close_jobs(batch, list(indices))
        return [task for _, job_id in closed for task in self._take_job(job_id, error, cause)]

    def _take_job(self, job_id: str, result: Any, cause: str = "", ref: Any = None) -> list[Task]:
        task = self.tasks.get(job_id)
        if task is None or not task.is_open:
            return []
        if isinstance(result, bytes):
            outcome = result
        elif isinstance(result, tuple):
            outcome, task.in_object_store, task.ref = result[0], True, ref or task.ref
        else:
            if not isinstance(result, BaseException):
                result = RuntimeError(f"Ray gave {type(result).__name__} for a job")
            task.crashed = True
            overdue = "walltime" if task.is_overdue else ""
            cause = task.kill_reason or overdue or cause
            failed = None if cause else bereft_outcome(result, task.taken, self._durable)
            failed = failed or failed_outcome(result, cause, task.walltime)
            outcome = pickle.dumps(failed, 5)
        return self._end_job(job_id, outcome)

    def _end_job(self, job_id: str, outcome: bytes) -> list[Task]:
        """Take in what came of a job; return it, unless that was known, or nobody asks any more.

        With one that has not succeeded end those that take its result. Ray starts their tasks nevertheless
        once there is room, and they find that they have nothing to call with. They are not cancelled: Ray is
        about to hand them to a worker now, and ends this process where a cancel comes between.
        """
        ended = []
        left = [(self.tasks.get(job_id), outcome)]
        while left:
            task, outcome = left.pop()
            if task is None or not task.is_open:
                continue
            dependents = task.dependents
            task.end(outcome)
            ended.append(task)
            why = broken_outcome(task.job_id, task.outcome) if dependents and task.outcome else None
            if why is not None:
                left += [(each, why) for each in dependents]
        return ended

    # --- cancels --------------------------------------------------------------------------------

    def cancel(self, job_ids: Sequence[str]) -> dict[str, bool]:
        """Have jobs end; say for each whether it had not ended yet."""
        accepted, tasks = {}, []
        with self._lock:
            for job_id in job_ids:
                task = self.tasks.get(job_id)
                accepted[job_id] = task is not None and task.is_open
                if task is not None and task.is_open:
                    task.cancelled = True
                    tasks.append(task)
        self._canceller.cancel(tasks)
        return accepted

    def cancelled_jobs(self) -> list[str]:
        """Return the jobs that were cancelled and have not ended."""
        return [task.job_id for task in list(self.tasks.values()) if task.cancelled and task.is_open]

    def is_cancelled(self, job_id: str) -> bool:
        """Tell whether somebody has cancelled, or forgotten, a job."""
        task = self.tasks.get(job_id)
        return task is None or task.cancelled

    def forget(self, job_ids: Iterable[str]) -> None:
        """Know nothing of these any more; those that have not ended are cancelled."""
        job_ids = list(job_ids)
        self.cancel(job_ids)
        for job_id in job_ids:
            self.tasks.pop(job_id, None)
