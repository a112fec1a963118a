"""What the jobs of a sweep have in common, and what each of them does where it runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

_one_at_a_time = threading.RLock()
"""Hydra has the configuration of its job once in a process, and some backends run jobs in threads."""


class Sweep:
    """What a program gives its launcher, and the state of Hydra in that program."""

    def __init__(self, context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.task_function, self.config = context, task_function, config
        self.singletons = Singleton.get_state()

    def config_of(self, overrides: Sequence[str], number: int, job_id: str | None = None) -> DictConfig:
        """Return the configuration of one job."""
        made = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(made):
            made.hydra.job.num = number
            made.hydra.job.id = job_id or f"{made.hydra.job.name}_{number}"
        return made

    def options_of(self, overrides: Sequence[str], number: int) -> dict[str, Any]:
        """Return what ``hydra.launcher`` says in the configuration of one job."""
        launcher = self.config_of(overrides, number).hydra.launcher
        said: Any = OmegaConf.to_container(launcher, resolve=True)
        return dict(said)


def run_hydra_job(overrides: Sequence[str], number: int, sweep: Sweep) -> JobReturn:
    """Run one job of a sweep. What its function raises is raised: then anyjob's job has failed, too."""
    from anyjob.sdk import job_environment

    with _one_at_a_time:
        Singleton.set_state(sweep.singletons)
        setup_globals()
        config = sweep.config_of(overrides, number, job_environment().get("ANYJOB_JOB_ID"))
        HydraConfig.instance().set_config(config)
        done = run_job(
            hydra_context=sweep.context,
            task_function=sweep.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        _ = done.return_value
    return done
