"""What a job of Snakemake asks for, in anyjob's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SMALLEST_MEMORY = 500
"""Megabytes that a job has at least: in each runs a Snakemake, whatever its rule is content with."""
OPTIONS = {"slurm": ("partition", "account", "qos", "constraint", "reservation", "gres")}
"""What an engine is told of, by type: a rule says ``slurm_partition="gpu"``, and other engines ignore it."""


def resources_of(threads: int, said: Mapping[str, Any], slots: int | None) -> dict[str, Any]:
    """Return what a job needs.

    Args:
        threads: those of its rule, or what a group has at a time.
        said: its resources, by Snakemake's names.
        slots: the most cores that the backend gives to a job, where it says.
    """
    megabytes, minutes, gpus, nodes = (said.get(name) for name in ("mem_mb", "runtime", "gpu", "nodes"))
    options = {
        engine: {name: str(said[key]) for name in names if (key := f"{engine}_{name}") in said}
        for engine, names in OPTIONS.items()
    }
    return {
        "cpus": max(1, threads if slots is None else min(threads, slots)),
        "memory": f"{max(int(megabytes), SMALLEST_MEMORY)}MB" if megabytes else None,
        "walltime": int(minutes) * 60 if minutes else None,
        "gpus": int(gpus) if gpus else None,
        "nodes": int(nodes) if nodes else None,
        "options": {engine: given for engine, given in options.items() if given},
    }
