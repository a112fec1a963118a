"""The nodes of a cluster: which are alive, what a task takes of one, and how to run on a certain one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def alive_nodes(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those that are alive.

    Args:
        nodes: as ``ray.nodes()`` gives them.
    """
    return [node for node in nodes if node.get("Alive", node.get("alive"))]


def resource_demand(task_options: Mapping[str, Any]) -> dict[str, float]:
    """Return what a task takes of a node, by the names of Ray's resources.

    Args:
        task_options: those of the task, as ``ray.remote`` takes them.
    """
    named = {
        "CPU": task_options["num_cpus"],
        "GPU": task_options.get("num_gpus", 0),
        "memory": task_options.get("memory", 0),
        **task_options.get("resources", {}),
    }
    return {name: amount for name, amount in named.items() if amount}


def task_slots(task_options: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> int:
    """Return how many tasks with these options the nodes could run at a time; one at least.

    Args:
        task_options: as ``ray.remote`` takes them.
        nodes: as ``ray.nodes()`` gives them.
    """
    demand = resource_demand(task_options) or {"CPU": 1}
    found = 0
    for node in alive_nodes(nodes):
        total = node["Resources"]
        found += min(int(total.get(name, 0) // amount) for name, amount in demand.items())
    return max(found, 1)


def remote_on_node(node_id: str, function: Callable[..., Any]) -> Any:
    """Return a Ray function that runs on one node, whatever else runs there.

    Args:
        node_id: the id of the node; if it is gone, the task fails.
        function: what it calls.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id=node_id, soft=False)
    options: dict[str, Any] = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}
    return ray.remote(**options)(function)
