"""The launcher: a job of anyjob for each job of the sweep."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_anyjob_launcher import _config  # noqa: F401 - registers the options
from hydra_plugins.hydra_anyjob_launcher._sweep import Sweep, run_hydra_job
from omegaconf import DictConfig

if TYPE_CHECKING:
    from anyjob import TaskJob

log = logging.getLogger(__name__)
OF_THE_SWEEP = ("_target_", "backend", "detach", "raise_on_failure")
"""The options that are not of its jobs."""
SWEEP_TAG = "hydra.sweep"
"""The tag that all jobs of a sweep have: its directory."""


class AnyjobLauncher(Launcher):
    """Runs the jobs of a sweep on a backend of anyjob, all that a sweeper asks for at once."""

    def __init__(self, backend: str | None, detach: bool, raise_on_failure: bool, **_of_jobs: Any) -> None:
        self.backend = backend
        self.detach = detach
        self.raise_on_failure = raise_on_failure

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what is to be run."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit a job for each of the overrides, and wait for them; return what came of them, in order."""
        import anyjob

        setup_globals()
        hydra = self.config.hydra
        configure_log(hydra.hydra_logging, hydra.verbose)
        Path(str(hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        try:
            jobs = self._submit(job_overrides, initial_job_idx)
            if self.detach:
                return [_NoValue(overrides) for overrides in job_overrides]
            return self._wait(job_overrides, jobs)
        except anyjob.AnyjobError as error:
            raise CompactHydraException(f"anyjob: {error}") from error
        finally:
            configure_log(hydra.hydra_logging, hydra.verbose)  # jobs in this process have set up theirs

    def _submit(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[TaskJob[JobReturn]]:
        import anyjob

        backend = anyjob.get_backend(self.backend)
        if self.detach and not backend.capabilities.durable:
            raise anyjob.SpecError(
                f"hydra.launcher.detach is set, and jobs of the backend {backend.name()!r} end with this "
                "program: take one that is durable, such as hydra.launcher.backend=local"
            )
        sweep = Sweep(self.hydra_context, self.task_function, self.config)
        numbered = list(enumerate(job_overrides, start=first))
        options = [sweep.options_of(overrides, number) for number, overrides in numbered]
        directory = str(Path(str(self.config.hydra.sweep.dir)).absolute())
        for each in options:
            each["tags"] = {SWEEP_TAG: directory, **each["tags"]}
        jobs = backend.run_many(
            [anyjob.Call(run_hydra_job, (list(words), number, sweep)) for number, words in numbered],
            **{key: [each[key] for each in options] for key in options[0] if key not in OF_THE_SWEEP},
        )
        log.info("Launched %d jobs on %s", len(jobs), backend.name())
        for (number, overrides), job in zip(numbered, jobs, strict=True):
            log.info("\t#%d : %s : %s", number, job.job_id(), " ".join(filter_overrides(overrides)))
        return jobs

    def _wait(
        self, job_overrides: Sequence[Sequence[str]], jobs: list[TaskJob[JobReturn]]
    ) -> list[JobReturn]:
        import anyjob

        overrides_of = {job.job_id(): list(words) for job, words in zip(jobs, job_overrides, strict=True)}
        returns: dict[str, JobReturn] = {}
        try:
            for job in anyjob.as_completed(jobs):
                returns[job.job_id()] = self._return_of(job, overrides_of[job.job_id()])
        except KeyboardInterrupt:
            jobs[0].backend().cancel_many(jobs)
            log.warning("Interrupted: %d jobs are cancelled", len(jobs) - len(returns))
            raise
        return [returns[job.job_id()] for job in jobs]

    def _return_of(self, job: TaskJob[JobReturn], overrides: list[str]) -> JobReturn:
        import anyjob

        error: BaseException | None = job.exception()
        if error is None:
            return job.result()
        log.error("%s : %s : %s: %s", job.job_id(), " ".join(overrides), type(error).__name__, error)
        if not self.raise_on_failure:
            return _NoValue(overrides, status=JobStatus.FAILED)
        if isinstance(error, anyjob.AnyjobError):  # a traceback of ours would tell nobody anything
            error = CompactHydraException(f"anyjob: {error}")
        return JobReturn(overrides, status=JobStatus.FAILED, _return_value=error)


class _NoValue(JobReturn):
    """Stands for a job that its sweeper is not to ask for a value: that is None."""

    @property
    def return_value(self) -> Any:
        return None

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value
