"""What ``hydra.launcher`` may say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore


@dataclass
class AnyjobLauncherConf:
    """The options of the launcher. From ``name`` on they are those of `anyjob.Resources`, for each job.

    Each job has its own, by its configuration: ``memory: ${model.memory}``.
    """

    _target_: str = "hydra_plugins.hydra_anyjob_launcher.launcher.AnyjobLauncher"
    backend: str | None = None  # a configured name, PROVIDER/BACKEND, or a type; none: the default
    detach: bool = False  # submit and leave
    raise_on_failure: bool = True  # whether the sweep ends with an error where a job has failed
    name: str = "${hydra.job.name}"
    tags: dict[str, Any] = field(default_factory=dict)
    cpus: Any = None
    memory: Any = None
    gpus: Any = None
    gpu_memory: Any = None
    nodes: Any = None
    walltime: Any = None
    needs: dict[str, Any] = field(default_factory=dict)
    priority: int = 0
    retries: Any = None
    restartable: bool = False
    options: dict[str, Any] = field(default_factory=dict)


ConfigStore.instance().store(
    group="hydra/launcher", name="anyjob", node=AnyjobLauncherConf, provider="hydra_anyjob_launcher"
)
