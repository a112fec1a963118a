"""The executor, as Snakemake wants it: each job is a Snakemake for one rule, or for a group of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

import anyjob
from anyjob import Command, JobStatus
from snakemake_executor_plugin_anyjob.earlier import DIRECTORY_TAG, OUTPUTS, EarlierJobs, outputs_key
from snakemake_executor_plugin_anyjob.resources import resources_of

LOOK_AGAIN = 1.0
"""Seconds that a wait for an end takes at most: new jobs join the next one, and Snakemake may be over."""


class Executor(RemoteExecutor):  # type: ignore[misc]
    """Runs the jobs of a workflow on a backend of anyjob."""

    def __post_init__(self) -> None:
        """Find the backend."""
        try:
            self.backend: Any = anyjob.get_backend(self.executor_settings.backend)
        except anyjob.AnyjobError as error:
            raise WorkflowError(f"--anyjob-backend: {error}") from error
        backend = self.backend
        self.slots = getattr(backend, "slots", None) or getattr(backend.options, "slots", None)
        self.directory = str(self.workflow.workdir_init)
        self.earlier = EarlierJobs(self.directory)
        self.next_seconds_between_status_checks = 0.1  # the wait is in `check_active_jobs`

    def run_job(self, job: Any) -> None:
        """Hand over one job."""
        self.run_jobs([job])

    def run_jobs(self, jobs: list[Any]) -> None:
        """Hand over jobs that are ready: those that are called the same and need the same at once."""
        new = []
        for job in jobs:
            self.run_job_pre(job)
            try:
                found = self.earlier.take_up(_key(job), [*map(str, job.input), str(self.snakefile)])
            except anyjob.AnyjobError as error:
                self._fail(job, error)
                continue
            if found is None:
                new.append(job)
            else:
                self.logger.info(
                    f"Job {job.jobid} was submitted before, as {found.job_id()}: it is taken up."
                )
                self._submitted(job, found)
        if not new:
            return
        needs = [self._needs(job) for job in new]
        try:
            handed = self.backend.run_many(
                [self._command(job) for job in new],
                name=[str(job.name)[:80] for job in new],
                tags={DIRECTORY_TAG: self.directory},
                **{key: [each[key] for each in needs] for key in needs[0]},
            )
        except anyjob.AnyjobError as error:
            for job in new:
                self._fail(job, error)
            return
        for job, one in zip(new, handed, strict=True):
            self.logger.info(f"Job {job.jobid} was submitted to {self.backend.name()} as {one.job_id()}.")
            self._submitted(job, one)

    def _needs(self, job: Any) -> dict[str, Any]:
        if self.slots is not None and job.threads > self.slots:
            said = f"{job.name}: {job.threads} threads, and {self.backend.name()} gives {self.slots} at most"
            self.logger.warning(f"{said}: it gets these.")
        return resources_of(job.threads, dict(job.resources.items()), self.slots)

    def _command(self, job: Any) -> Command:
        env = {**self.envvars(), OUTPUTS: _key(job)}
        if self.is_default_jobscript:
            return Command(["/bin/sh", "-c", self.format_job_exec(job)], env=env)
        path = self.get_jobscript(job)
        self.write_jobscript(job, path)
        return Command([path], env=env)

    def _submitted(self, job: Any, one: anyjob.TaskJob) -> None:
        info = SubmittedJobInfo(job, external_jobid=one.job_id(), aux={"job": one})
        self.report_job_submission(info)

    def _fail(self, job: Any, error: Exception) -> None:
        self.report_job_error(SubmittedJobInfo(job), msg=f"anyjob: {error} ")

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Wait for the end of one, for a moment; report those that have ended, and yield the others."""
        jobs = [info.aux["job"] for info in active_jobs]
        if jobs:
            wait = anyjob.wait
            done, _ = await asyncio.to_thread(wait, jobs, LOOK_AGAIN, "FIRST_COMPLETED")
            ended = {job.job_id() for job in done}
        for info, job in zip(active_jobs, jobs, strict=True):
            if job.job_id() not in ended:
                yield info
            elif job.outcome().status is JobStatus.DONE:
                self.report_job_success(info)
            else:
                self._report_failure(info, job)

    def _report_failure(self, info: SubmittedJobInfo, job: anyjob.TaskJob) -> None:
        outcome = job.outcome()
        directory = self.backend.job_directory(job.job_id()) if self.backend.capabilities.durable else None
        logs = [path for name in ("stdout", "stderr") if directory and (path := directory / name).exists()]
        said = outcome.message or outcome.reason or outcome.status.name
        msg = f"anyjob: {said}; see `anyjob explain {job.job_id()}`. "
        self.report_job_error(info, msg=msg, aux_logs=[str(path) for path in logs])

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Cancel all by one call."""
        self.backend.cancel_many([info.aux["job"] for info in active_jobs])


def _key(job: Any) -> str:
    return outputs_key([str(job.name), *map(str, job.output)])
