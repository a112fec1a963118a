"""The thread of a worker process that monitors its job: it reports that it runs, and ends it when due."""

from __future__ import annotations

import threading
import time
from typing import Any

from anyjob_ray.worker.batch import Batch
from anyjob_ray.worker.job import Job, WorkerState
from anyjob_ray.worker.process_tree import kill_this_process_tree
from anyjob_ray.worker.reports.output import location_of
from anyjob_ray.worker.signals import INTERRUPT, SignalHandling

REPORT_AFTER = 0.05
"""Seconds that a job runs before that is reported: shorter ones cost no message."""
TICK = 0.05
IDLE_TICKS = 20
"""Ticks without a job after which the thread sleeps until one starts."""
CANCELS_TIMEOUT = 5.0
"""Seconds that the event actor has to say which jobs were cancelled."""
KILL_TIMEOUT = 5.0
"""Seconds that the event actor has to hear of a job that is about to be killed."""


class Monitor:
    """Monitors the jobs of one worker process, one after the other.

    Args:
        state: what the process is doing.
        signals: by which it is told to end a job, and wakes it.
    """

    def __init__(self, state: WorkerState, signals: SignalHandling) -> None:
        self._state = state
        self._signals = signals
        self._asleep = False
        self._event_actors: dict[bytes, Any] = {}
        threading.Thread(target=self._run, name="anyjob-ray-monitor", daemon=True).start()

    def job_started(self) -> None:
        """Have the thread see that there is a job."""
        if self._asleep:
            self._signals.wake_waiter()

    def _run(self) -> None:
        idle_ticks = 0
        while True:
            idle_ticks = idle_ticks + 1 if self._state.job is None else 0
            self._asleep = idle_ticks > IDLE_TICKS
            if self._asleep and self._state.job is not None:
                self._asleep = False
            signalled = self._signals.wait(None if self._asleep else TICK)
            self._asleep = False
            # Before the signals are read: those are to this job then, or to one before it.
            job, batch = self._state.job, self._state.batch
            interrupted = signalled and INTERRUPT in self._signals.drain()
            if job is not None:
                try:
                    self._check(job, batch, interrupted)
                except Exception:  # the event actor is not there yet, or not any more
                    continue

    def _check(self, job: Job, batch: Batch | None, interrupted: bool) -> None:
        if batch is None:
            self._check_job(job, interrupted)
            return
        batch.cancel_requested = batch.cancel_requested or interrupted
        self._check_job(job, interrupted=False)  # its limits are kept though the event actor is away
        if self._is_cancelled(job, batch):
            self._check_job(job, interrupted=True)
        if job.reported:
            self._release_rest(job, batch)

    def _check_job(self, job: Job, interrupted: bool) -> None:
        now = time.monotonic()
        if interrupted:
            self._signals.wake_main_thread()
            job.kill_at = job.kill_at or now + job.context.grace
        if job.walltime is not None and not job.end_reason and now - job.began > job.walltime:
            job.end_reason = "walltime"
            self._signals.wake_main_thread()
            job.kill_at = now + job.context.grace
        if job.kill_at is not None and now > job.kill_at and self._state.job is job:
            self._kill(job)
        if not job.reported and now - job.began > REPORT_AFTER:
            self._event_actor(job).job_started.remote(job.job_id, tuple(location_of(job)))
            job.reported = True

    def _is_cancelled(self, job: Job, batch: Batch) -> bool:
        """Find out which jobs of a batch were cancelled, if any were; say whether it is this one."""
        import ray

        if batch.cancel_requested:  # again and again: we are interrupted once, however many are cancelled
            ids = [job_id for job_id, _ in batch.jobs]
            asked = self._event_actor(job).cancelled_among.remote(ids)
            batch.cancelled.update(ray.get(asked, timeout=CANCELS_TIMEOUT))
        if job.job_id not in batch.cancelled or job.end_reason:
            return False
        job.end_reason = "cancelled"
        return True

    def _release_rest(self, job: Job, batch: Batch) -> None:
        """Have other tasks run the jobs that would wait for a long one, and report those before it."""
        released = batch.release_rest()
        if released is not None:
            self._event_actor(job).batch_progressed.remote(batch.batch_id, *released)

    def _event_actor(self, job: Job) -> Any:
        import ray

        actor = self._event_actors.get(job.pickled_context)
        if actor is None:
            actor = ray.get_actor(job.context.event_actor, namespace=job.context.namespace)
            self._event_actors[job.pickled_context] = actor
        return actor

    def _kill(self, job: Job) -> None:
        """End this process, and what the job has started: it did not end by itself."""
        import ray

        reason = job.end_reason or "cancelled"
        try:
            ray.get(self._event_actor(job).killing_job.remote(job.job_id, reason), timeout=KILL_TIMEOUT)
        finally:
            kill_this_process_tree()
