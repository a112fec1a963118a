"""What a job asks for, in Dask's worker resources."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from anyjob import Resources

CPU, MEMORY, GPU = "CPU", "MEMORY", "GPU"
"""What these resources are called in Dask's own documentation."""


def required(resources: Resources, more: Mapping[str, float], offered: Container[str]) -> dict[str, float]:
    """Return what a job takes up of a worker's resources.

    Dask counts what its workers were told to have, and nothing else. So ``cpus`` and ``memory`` count where
    some worker was told of ``CPU`` and ``MEMORY``; ``gpus``, and ``needs`` by their names, always do.

    Args:
        resources: what the job needs.
        more: what it needs by the names that the workers have for it.
        offered: the names that some worker has.
    """
    optional = {CPU: resources.cpus, MEMORY: resources.memory}
    found = {name: float(amount) for name, amount in optional.items() if amount and name in offered}
    if resources.gpus:
        found[GPU] = float(resources.gpus)
    named = {**resources.needs, **more}
    return {**found, **{name: float(amount) for name, amount in named.items()}}


def missing(required: Mapping[str, float], workers: Iterable[Mapping[str, float]]) -> str:
    """Say what no worker has of that which a job requires; empty where one has all of it."""
    workers = list(workers)
    if not required or any(all(has.get(name, 0) >= required[name] for name in required) for has in workers):
        return ""
    asked = ", ".join(f"{name}={amount:g}" for name, amount in required.items())
    most = {name: max((has.get(name, 0) for has in workers), default=0) for name in required}
    there = ", ".join(f"{name}={amount:g}" for name, amount in most.items())
    return f"it asks for {asked}, and no worker has that (the most of each: {there})"
