"""Whether a backend of this machine can ever have room for a job, in words where it cannot."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from anyjob.builtin.local.machine import gpus
from anyjob.builtin.local.machine.totals import totals
from anyjob.builtin.local.supervisor.jobs.capacity import Capacity, Demand, Device, Shortage, demand_of
from anyjob.builtin.refusals import least_memory, of_several_nodes, too_many_cpus
from anyjob.resources import Resources
from anyjob.text.suggestions import did_you_mean
from anyjob.text.units import format_memory


class NoRoom(Exception):
    """There will never be room for a job; why, in words."""


def check(kind: str, resources: Resources, options: Any, environ: Mapping[str, str]) -> tuple[Device, ...]:
    """See to it that there can be room for a job.

    Args:
        kind: what it is at last: a ``command``, or ``python``.
        resources: what it asks for.
        options: those of the backend.
        environ: the variables of this process, which may restrict it to some GPUs.

    Returns:
        the GPUs that it may have, where it asks for any.

    Raises:
        NoRoom: it asks for more than there is.
        ConfigError: the backend is told of a GPU that is not there.
    """
    reason = least_memory(kind, resources.memory) or of_several_nodes(resources)
    if reason:
        raise NoRoom(reason)
    there = totals(msgspec.structs.asdict(options))
    shared = Capacity(options.shared)
    for name in resources.needs:
        if name not in there and name not in options.shared:
            raise NoRoom(_unknown(name, [*options.resources, *options.shared]))
    demand = demand_of(resources)
    if demand.takes_gpu:
        try:
            found = gpus.available(options.gpus, options.gpu_memory, environ)
        except gpus.NoGpus as error:
            raise NoRoom(f"it asks for {_gpus_asked(demand)}, and {error}") from None
        demand = demand._replace(among=tuple(Device(gpu.id, gpu.memory) for gpu in found))
    shortage = Capacity(there, shared).shortage(demand)
    if shortage is not None:
        raise NoRoom(_in_words(shortage, options.slots))
    return demand.among


def _unknown(name: str, named: Collection[str]) -> str:
    if not named:
        return (
            f"it needs {name}, and the backend counts nothing by name: set `resources` of the backend, "
            f"such as {{ {name} = 1 }}"
        )
    return f"it needs {name}, which the backend does not count{did_you_mean(name, named)}"


def _gpus_asked(demand: Demand) -> str:
    return f"{demand.gpus:g} gpus" if demand.gpus else "a share of a GPU"


def _in_words(shortage: Shortage, slots: int) -> str:
    name, asked, there = shortage
    match name:
        case "cpus" if there < slots:
            return f"it asks for {asked:g} cpus, and there are {there:g}: ask for fewer, or set `resources`"
        case "cpus":
            return too_many_cpus(int(asked), int(there))
        case "memory":
            amounts = f"{format_memory(int(asked))} of memory, and there are {format_memory(int(there))}"
            return f"it asks for {amounts}: ask for less, or set `memory` of the backend"
        case "gpus":
            return f"it asks for {asked:g} gpus, and there are {there:g}: ask for fewer, or set `gpus`"
        case "gpu_memory" if not there:
            return (
                f"it asks for {format_memory(int(asked))} of a GPU, and nobody knows how much these have: "
                "set `gpu_memory` of the backend"
            )
        case "gpu_memory":
            amounts = f"{format_memory(int(asked))} of a GPU, and there are {format_memory(int(there))}"
            return f"it asks for {amounts}: ask for less"
    amounts = f"{asked:g} of {name}, and there are {there:g}"
    return f"it needs {amounts}: ask for fewer, or set `resources`"
