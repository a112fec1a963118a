"""Snakemake on any backend of anyjob: ``snakemake --executor anyjob --anyjob-backend hpc``."""

# Without `annotations` from the future: Snakemake reads the types of the settings.
from dataclasses import dataclass, field
from typing import Optional

from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

from snakemake_executor_plugin_anyjob.executor import Executor

__all__ = ["Executor", "ExecutorSettings", "common_settings"]


@dataclass
class ExecutorSettings(ExecutorSettingsBase):  # type: ignore[misc]
    """What the command line and profiles may say."""

    backend: Optional[str] = field(  # noqa: UP045 - Snakemake takes the argument out of an Optional
        default=None,
        metadata={
            "help": "Where jobs run: a backend that anyjob.toml configures, PROVIDER/BACKEND, or a type of "
            "backend that is installed. None: anyjob's default backend.",
            "env_var": False,
            "required": False,
        },
    )


common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_envvar_declarations_to_cmd=False,  # they are given to the job, and seen in no list of processes
)
