"""What a job may not ask for here, in words: what is asked for is kept or refused, and never ignored."""

from __future__ import annotations

from anyjob.resources import Resources
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


def least_memory(kind: str, memory: int | None) -> str:
    """Say that a job asks for so little memory that it would be ended at once; empty where it does not."""
    least = LEAST_MEMORY[kind]
    if memory is None or memory >= least:
        return ""
    return (
        f"it asks for {format_memory(memory)} of memory, and would be ended at once: "
        f"{'Python, which runs it,' if kind == 'python' else 'a program'} needs {format_memory(least)} "
        "at least"
    )
