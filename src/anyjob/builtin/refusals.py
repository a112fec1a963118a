"""What a job may not ask for here, in words: what is asked for is kept or refused, and never ignored."""

from __future__ import annotations

from anyjob.resources import Resources, total_cpus
from anyjob.text.units import format_duration, format_memory

LEAST_MEMORY = {"command": 1 << 20, "python": 16 << 20}
"""Bytes that a job of this kind may not ask for less of: it takes them before it begins."""
ONE_MACHINE = (
    "its jobs run on this machine alone: leave nodes out, or use the backend of a cluster, such as `slurm`"
)


def too_many_cpus(asked: int, slots: int) -> str:
    """Say that a job asks for more cores than its backend has slots."""
    return (
        f"it asks for {asked} cpus, and there are {slots} slots: ask for fewer, or set `slots` of the backend"
    )


def of_several_nodes(resources: Resources) -> str:
    """Say why a job of several machines cannot run on this one; empty where it is of one."""
    nodes = resources.nodes or 1
    return f"it asks for {nodes} nodes, and {ONE_MACHINE}" if nodes > 1 else ""


def in_this_program(resources: Resources, cpus: int, *, keeps_walltime: bool) -> str:
    """Say why a job cannot run in, or beside, the program that submits it; empty where it can.

    Args:
        resources: what it asks for.
        cpus: the cores that there are for jobs.
        keeps_walltime: whether it can be ended.
    """
    if (resources.cpus or 1) > cpus:
        return too_many_cpus(resources.cpus or 1, cpus)
    asked = {}
    if resources.memory is not None:
        asked["memory"] = f"{format_memory(resources.memory)} of memory"
    if resources.gpus:
        asked["gpus"] = f"{resources.gpus:g} gpus"
    if resources.walltime is not None and not keeps_walltime:
        asked["walltime"] = f"an end after {format_duration(resources.walltime)}"
    if asked:
        return (
            f"it asks for {' and '.join(asked.values())}, which is not kept to here: leave out "
            f"{' and '.join(asked)}, or use a backend that keeps to it, such as `local`"
        )
    return of_several_nodes(resources)


def on_this_machine(kind: str, resources: Resources, slots: int, memory: int) -> str:
    """Say why a job cannot run on a backend that outlives the program that submits; empty where it can.

    Args:
        kind: what it is at last: a ``command``, or ``python``.
        resources: what it asks for.
        slots: the cores that the backend has.
        memory: the bytes that it has; 0 where nobody knows.
    """
    if total_cpus(resources) > slots:
        return too_many_cpus(total_cpus(resources), slots)
    least = LEAST_MEMORY[kind]
    if resources.memory is not None and resources.memory < least:
        return (
            f"it asks for {format_memory(resources.memory)} of memory, and would be ended at once: "
            f"{'Python, which runs it,' if kind == 'python' else 'a program'} needs "
            f"{format_memory(least)} at least"
        )
    if resources.gpus:
        return f"it asks for {resources.gpus:g} gpus, and jobs are given none here: leave gpus out"
    if memory and (resources.memory or 0) > memory:
        asked, there = format_memory(resources.memory or 0), format_memory(memory)
        return f"it asks for {asked} of memory, and there are {there}: ask for less"
    return of_several_nodes(resources)
