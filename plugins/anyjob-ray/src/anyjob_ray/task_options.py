"""What a job asks for, as options of a Ray task; and whether any node has that much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anyjob import Resources
from anyjob_ray.options import RayJobOptions, RayOptions
from anyjob_ray.tasks.nodes import alive_nodes

RETRIES = 3
"""How often a job that is restartable may be run once more."""

_WORDS = {"CPU": "cpus", "GPU": "gpus", "memory": "GiB of memory"}
_UNITS = {"memory": 2**30}


def task_options(
    resources: Resources, job: RayJobOptions, backend: RayOptions, *, with_runtime_env: bool
) -> dict[str, Any]:
    """Return the options of the Ray task that a job becomes, as ``ray.remote`` takes them.

    Args:
        resources: what it needs.
        job: the options of the job.
        backend: the options of the backend.
        with_runtime_env: whether the ``runtime_env`` goes with each task, since the connection has none.
    """
    retries = job.max_retries
    if retries is None:
        retries = RETRIES if resources.restartable else 0
    found: dict[str, Any] = {"max_retries": retries, "retry_exceptions": False}
    found["num_cpus"] = 1 if resources.cpus is None else resources.cpus
    if resources.gpus:
        found["num_gpus"] = resources.gpus
    if resources.memory is not None:
        found["memory"] = resources.memory
    if resources.needs or job.resources:
        found["resources"] = {**resources.needs, **job.resources}
    if resources.name:
        found["name"] = resources.name.encode("utf-8", "replace").decode()  # for Ray's own listings
    if with_runtime_env and backend.runtime_env:
        found["runtime_env"] = dict(backend.runtime_env)
    return found


def why_infeasible(
    resources: Resources, demand: Mapping[str, float], nodes: Sequence[Mapping[str, Any]]
) -> str:
    """Say why a job can run nowhere; empty where it can.

    Args:
        resources: what it needs, in our words.
        demand: what it takes of a node, by the names of Ray's resources.
        nodes: the nodes, as ``ray.nodes()`` gives them.
    """
    if resources.nodes is not None and resources.nodes > 1:
        return f"a Ray task runs on one node, and the job asks for {resources.nodes}"
    totals = [node["Resources"] for node in alive_nodes(nodes)]
    if any(all(total.get(name, 0) >= amount for name, amount in demand.items()) for total in totals):
        return ""
    lacking = [
        name for name, amount in demand.items() if all(total.get(name, 0) < amount for total in totals)
    ]
    parts = []
    for name in lacking:
        most, unit = max((total.get(name, 0) for total in totals), default=0), _UNITS.get(name, 1)
        parts.append(
            f"{demand[name] / unit:g} {_WORDS.get(name, name)} (the most that a node has is {most / unit:g})"
        )
    return (
        "no node of the cluster has what the job asks for: "
        + (", ".join(parts) or "no single one has all of it")
        + "; ask for less, or, where the cluster grows by itself, say autoscales = true"
    )
