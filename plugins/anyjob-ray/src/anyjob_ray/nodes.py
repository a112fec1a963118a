"""The nodes of a cluster: which are alive, what a task takes of one, and how to reach a certain one.

Sent along to the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def alive(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those that are alive.

    Args:
        nodes: as ``ray.nodes()`` gives them.
    """
    return [node for node in nodes if node.get("Alive", node.get("alive"))]


def asked(plan: Mapping[str, Any]) -> dict[str, float]:
    """Return what a plan takes of a node, in Ray's words."""
    wanted = {"CPU": plan["num_cpus"], "GPU": plan.get("num_gpus", 0), "memory": plan.get("memory", 0)}
    return {name: amount for name, amount in {**wanted, **plan.get("resources", {})}.items() if amount}


def slots(plan: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> int:
    """Return how many tasks of a plan the nodes could run at a time; one at least.

    Args:
        plan: the options of the task.
        nodes: as ``ray.nodes()`` gives them.
    """
    wanted = asked(plan) or {"CPU": 1}
    found = 0
    for node in alive(nodes):
        had = node["Resources"]
        found += min(int(had.get(name, 0) // amount) for name, amount in wanted.items())
    return max(found, 1)


def on_node(node: str, function: Callable[..., Any]) -> Any:
    """Return a Ray function that runs on one node, whatever else does there.

    Args:
        node: the id of the node; if it is gone, the task fails.
        function: what it calls.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    options: dict[str, Any] = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}
    return ray.remote(**options)(function)
