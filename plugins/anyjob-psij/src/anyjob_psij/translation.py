"""Jobs of PSI/J in anyjob's words."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from psij import Job, JobSpec, JobState
from psij.resource_spec import ResourceSpecV1

from anyjob import Command, File, JobStatus

STATES = {
    JobStatus.INITIALIZING: JobState.QUEUED,
    JobStatus.VALIDATING: JobState.QUEUED,
    JobStatus.QUEUED: JobState.QUEUED,
    JobStatus.RUNNING: JobState.ACTIVE,
    JobStatus.DONE: JobState.COMPLETED,
    JobStatus.ERROR: JobState.FAILED,
    JobStatus.CANCELLED: JobState.CANCELED,
}
QUEUES = {"slurm": "partition", "gridengine": "queue"}
"""What engines call PSI/J's queue."""
_WITH_NODEFILE = 'PSIJ_NODEFILE=$ANYJOB_SPOOL/files/nodefile; export PSIJ_NODEFILE; exec "$@"'
"""PSI/J tells the processes of a job where they are; engines with several nodes tell their own launchers."""


def command_of(job: Job, launch_command: Callable[[Job], list[str]]) -> Command:
    """Return the program that a job of PSI/J is.

    Args:
        job: with a spec.
        launch_command: gives what PSI/J's launcher makes of it: several processes, scripts before and after.
    """
    spec = job.spec
    assert spec is not None
    env = {name: str(value) for name, value in (spec.environment or {}).items()}
    cwd = str(spec.directory) if spec.directory else None
    is_plain = spec.launcher in (None, "single") and not spec.pre_launch and not spec.post_launch
    if not is_plain:
        argv, files = _with_environment(spec, launch_command(job), env), {}
        if (count := _processes_here(spec)) > 1:
            argv = ["/bin/sh", "-c", _WITH_NODEFILE, "sh", *argv]
            files = {"nodefile": File("nodefile", b"localhost\n" * count)}
        return Command(argv, env=env, cwd=cwd, files=files)
    return Command(
        _with_environment(spec, [str(spec.executable), *(spec.arguments or [])], env),
        env=env,
        cwd=cwd,
        stdin=File(_below(cwd, spec.stdin_path)) if spec.stdin_path else None,
        stdout=str(spec.stdout_path) if spec.stdout_path else None,
        stderr=str(spec.stderr_path) if spec.stderr_path else None,
    )


def _processes_here(spec: JobSpec) -> int:
    """Return how many processes a launcher starts, where they are on one machine; else 1."""
    needs = spec.resources
    if not isinstance(needs, ResourceSpecV1) or needs.computed_node_count > 1:
        return 1
    return int(needs.computed_process_count)


def _below(cwd: str | None, path: Any) -> str:
    return os.path.join(cwd or "", str(path))


def _with_environment(spec: JobSpec, argv: list[str], env: dict[str, str]) -> list[str]:
    if spec.inherit_environment:
        return argv
    return ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in env.items()), *argv]


def resources_of(spec: JobSpec, *, keeps_walltime: bool) -> dict[str, Any]:
    """Return what a job needs, and what it is called."""
    found: dict[str, Any] = {"name": spec.name or ""}
    if isinstance(needs := spec.resources, ResourceSpecV1):
        count = needs.computed_process_count
        if needs.cpu_cores_per_process or count > 1:
            found["cpus"] = (needs.cpu_cores_per_process or 1) * count
        if needs.gpu_cores_per_process:
            found["gpus"] = needs.gpu_cores_per_process * count
        if needs.computed_node_count > 1:
            found["nodes"] = needs.computed_node_count
        if getattr(needs, "memory", None):
            found["memory"] = needs.memory
    if (attributes := spec.attributes) is not None:
        if keeps_walltime and attributes.duration:
            found["walltime"] = attributes.duration.total_seconds()
        options: dict[str, dict[str, Any]] = {}
        if attributes.queue_name:
            options = {engine: {word: attributes.queue_name} for engine, word in QUEUES.items()}
        for word, value in (("account", attributes.account), ("reservation", attributes.reservation_id)):
            if value:
                options.setdefault("slurm", {})[word] = value
        for name, custom in (attributes.custom_attributes or {}).items():
            engine, _, word = name.partition(".")
            if word:
                options.setdefault(engine, {})[word] = custom
        found["options"] = options
    return found
