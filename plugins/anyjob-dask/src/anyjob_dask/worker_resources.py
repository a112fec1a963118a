"""What a job asks for, in Dask's worker resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from anyjob.specs import Resources

CPU, MEMORY, GPU = "CPU", "MEMORY", "GPU"
"""What these resources are called in Dask's own documentation."""


def wanted(resources: Resources, more: Mapping[str, float], offered: Iterable[str]) -> dict[str, float]:
    """Return what a job takes up of a worker's resources.

    Dask counts what its workers were told to have, and nothing else. So ``cpus`` and ``memory`` count where
    some worker was told of ``CPU`` and ``MEMORY``; ``gpus``, and what is asked for by its name, always do.

    Args:
        resources: what the job needs.
        more: what it needs by the names that the workers have for it.
        offered: the names that some worker has.
    """
    asked = {CPU: resources.cpus, MEMORY: resources.memory}
    found = {name: float(asked[name] or 0) for name in sorted(set(offered) & asked.keys()) if asked[name]}
    if resources.gpus:
        found[GPU] = float(resources.gpus)
    return {**found, **{name: float(amount) for name, amount in more.items()}}


def short_of(asked: Mapping[str, float], workers: Iterable[Mapping[str, float]]) -> str:
    """Say what no worker has of that which a job asks for; empty where one has all of it."""
    workers = list(workers)
    if not asked or any(all(has.get(name, 0) >= asked[name] for name in asked) for has in workers):
        return ""
    words = ", ".join(f"{name}={amount:g}" for name, amount in asked.items())
    most = {name: max((has.get(name, 0) for has in workers), default=0) for name in asked}
    there = ", ".join(f"{name}={amount:g}" for name, amount in most.items())
    return f"it asks for {words}, and no worker has that (the most of each: {there})"
