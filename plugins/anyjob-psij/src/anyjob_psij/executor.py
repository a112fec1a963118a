"""PSI/J's executor ``anyjob``: its jobs run on a backend of anyjob, which the URL names.

PSI/J executes this module by its path, and does not enter it into `sys.modules`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from psij import (
    InvalidJobException,
    Job,
    JobExecutor,
    JobExecutorConfig,
    JobState,
    JobStatus,
    SubmitException,
)

import anyjob
from anyjob_psij.translation import STATES, command_of, resources_of

Ids = list[str]  # the class has a method of that name

LOOK_AGAIN = 0.2
"""Seconds between two looks at jobs of which no end is heard: for the news that one runs."""


class AnyjobExecutor(JobExecutor):
    """Runs jobs on a backend of anyjob.

    Args:
        url: the name of the backend; None: the default one.
        config: where PSI/J's launchers have their files.

    Raises:
        AnyjobError: there is no such backend.
    """

    def __init__(self, url: str | None = None, config: JobExecutorConfig | None = None) -> None:
        super().__init__(url=url, config=config or JobExecutorConfig())
        self._backend: Any = anyjob.get_backend(url)
        self._lock = threading.Lock()
        self._open: dict[str, tuple[anyjob.TaskJob, list[Job]]] = {}
        self._watcher: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        """Hand over a job."""
        spec = self._check_job(job)
        walltime = self._backend.capabilities.walltime
        try:
            command = command_of(job, lambda each: self._launcher_of(each).get_launch_command(each))
            ours = self._backend.run(command, **resources_of(spec, keeps_walltime=walltime))
        except (anyjob.SpecError, anyjob.JobRejectedError, anyjob.UnsupportedSpecError) as error:
            raise InvalidJobException(str(error), error) from error
        except anyjob.AnyjobError as error:
            raise SubmitException(str(error), exception=error) from error
        self._follow(job, ours)

    def cancel(self, job: Job) -> None:
        """Ask for a job to be cancelled."""
        try:
            self._find(str(job.native_id)).cancel()
        except anyjob.AnyjobError as error:
            raise SubmitException(str(error), exception=error) from error

    def list(self) -> Ids:
        """Return the ids of the jobs of the backend that have not ended."""
        open_states = [state for state in anyjob.JobStatus if state not in anyjob.JOB_FINAL_STATES]
        return [job.job_id() for job in anyjob.jobs(backend=self._backend.name(), state=open_states)]

    def attach(self, job: Job, native_id: str) -> None:
        """Have a job stand for one that was submitted, by this process or another: anyjob's ids do."""
        if job.status.state != JobState.NEW:
            raise InvalidJobException("Job must be in the NEW state")
        job.executor = self
        try:
            ours = self._find(native_id)
        except anyjob.AnyjobError as error:
            raise InvalidJobException(str(error), error) from error
        self._follow(job, ours)

    def _launcher_of(self, job: Job) -> Any:
        return self._get_launcher((job.spec and job.spec.launcher) or "single")

    def _find(self, job_id: str) -> Any:
        with self._lock:
            known = self._open.get(job_id)
        return known[0] if known else anyjob.get_job(job_id)

    def _follow(self, job: Job, ours: anyjob.TaskJob) -> None:
        """Tell of what becomes of a job, from now on."""
        job._native_id = ours.job_id()
        self._tell(job, JobState.QUEUED)
        with self._lock:
            self._open.setdefault(ours.job_id(), (ours, []))[1].append(job)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="anyjob_psij", daemon=True)
                self._watcher.start()

    def _watch(self) -> None:
        """Look at the jobs that are open, until there is none."""
        while True:
            with self._lock:
                if not self._open:
                    self._watcher = None
                    return
                followed = list(self._open.values())
            try:
                done, _ = anyjob.wait([ours for ours, _ in followed], LOOK_AGAIN, "FIRST_COMPLETED")
                ended = {ours.job_id() for ours in done}
                for ours, jobs in followed:
                    if ours.job_id() in ended:
                        with self._lock:
                            del self._open[ours.job_id()]
                        self._tell_of_end(ours, jobs)
                    elif ours.running():
                        for job in jobs:
                            if job.status.state == JobState.QUEUED:
                                self._tell(job, JobState.ACTIVE)
            except anyjob.BackendUnavailableError:
                time.sleep(LOOK_AGAIN)

    def _tell_of_end(self, ours: anyjob.TaskJob, jobs: Sequence[Job]) -> None:
        outcome = ours.outcome()
        code = outcome.exit_code
        if code is None and outcome.signal is not None:
            code = -outcome.signal
        if code is None and outcome.status is anyjob.JobStatus.DONE:
            code = 0
        for job in jobs:
            if job.status.state == JobState.QUEUED and outcome.started is not None:
                self._tell(job, JobState.ACTIVE)
            status = JobStatus(
                STATES[outcome.status],
                time=outcome.finished or time.time(),
                exit_code=code,
                message=outcome.message or None,
            )
            self._set_job_status(job, status)

    def _tell(self, job: Job, state: JobState) -> None:
        self._set_job_status(job, JobStatus(state, time=time.time(), metadata={"nativeId": job._native_id}))
