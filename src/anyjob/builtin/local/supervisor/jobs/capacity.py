"""What there is, what jobs take of it, and whether one more fits. Pure: no job starts or waits here.

A thing is counted under a name: ``cpus``, ``memory`` (in bytes), ``license``. Where a `Capacity` sets no
limit to a name, there is as much of it as is asked for. GPUs are told apart, and each belongs to the whole
machine.

For whoever decides the order of jobs::

    capacity.shortage(demand)             # why it will never fit, as things are; None where it may
    capacity.fits(demand)                 # whether it fits now
    capacity.take(job_id, demand)         # its devices, () where it asks for none; None: it does not fit now
    capacity.adopt(job_id, demand, devices)            # it runs already, whether or not there is room
    capacity.give_back(job_id, keep_devices=True)      # it has ended, and its processes have not
    capacity.give_back(job_id)            # nothing of it is left
    capacity.lend(job_id)                 # it waits for others, which may have its cpus
    capacity.take_back(job_id)            # it goes on, whether or not there is room
    capacity.copy()                       # to try out what would be
    capacity.beside(demand)               # the same, where a job that waits has what it asks for already
    capacity.limits = {"cpus": 4}         # there is more or less by now: nobody who holds some loses it
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from anyjob.resources import Resources

PARTS = 10**15
"""What a GPU is divided into: a share of one is rounded down to these, so that three thirds are one."""
NOTHING: Mapping[str, int] = MappingProxyType({})


class Device(NamedTuple):
    """A GPU.

    Args:
        id: its index, or its UUID, as ``CUDA_VISIBLE_DEVICES`` takes it.
        memory: the bytes that it has; 0 where nobody knows.
    """

    id: str
    memory: int = 0


class Demand(NamedTuple):
    """What a job takes for as long as it runs.

    Args:
        counts: how much of what is counted, by name.
        gpus: whole GPUs, each for itself alone; or, below 1, the share of one that it has with others.
        gpu_memory: bytes of a GPU that it needs: on each of whole ones; alone, it makes for a share of one.
        among: the GPUs that it may have, in the order of preference.
    """

    counts: Mapping[str, int] = NOTHING
    gpus: float = 0
    gpu_memory: int = 0
    among: tuple[Device, ...] = ()

    @property
    def takes_gpu(self) -> bool:
        """Whether it is to have GPUs, or a share of one."""
        return bool(self.gpus or self.gpu_memory)

    def parts_of(self, device: Device) -> int | None:
        """Return how much of a GPU it takes; None where that one can never do."""
        if self.gpu_memory and self.gpu_memory > device.memory:
            return None
        if self.gpus >= 1:
            return PARTS
        by_memory = self.gpu_memory * PARTS // device.memory if self.gpu_memory else 0
        return max(int(self.gpus * PARTS), by_memory, 1)


def demand_of(resources: Resources, among: tuple[Device, ...] = ()) -> Demand:
    """Return what a job takes, of what it asks for and the GPUs that it may have."""
    counts = {"cpus": (resources.cpus or 1) * (resources.tasks or 1), **resources.needs}
    if resources.memory is not None:
        counts["memory"] = resources.memory
    return Demand(counts, resources.gpus or 0, resources.gpu_memory or 0, among)


class Shortage(NamedTuple):
    """What a job asks for more of than there is.

    Args:
        name: of what.
        asked: how much it asks for.
        there: how much there is.
    """

    name: str
    asked: float
    there: float


class _Held(NamedTuple):
    counts: Mapping[str, int]
    parts: Mapping[str, int]


class Capacity:
    """What the jobs of a queue may take, and what they have taken.

    Args:
        limits: how much there is, by name.
        shared: what all queues of the machine have together: its limits hold, too, and its GPUs are theirs.
    """

    def __init__(self, limits: Mapping[str, int] = NOTHING, shared: Capacity | None = None) -> None:
        self.limits = limits
        self.reserved: Collection[str] = ()
        """What is not given away now, though there may be some: who came first waits for more of it."""
        self._shared = shared
        self._taken: dict[str, int] = {}
        self._holders: dict[Hashable, _Held] = {}
        self._lent: dict[Hashable, dict[str, int]] = {}
        self._parts: dict[str, int] = {} if shared is None else shared._parts
        """What is taken of each GPU, of all queues."""

    def copy(self) -> Self:
        """Return one like this, with what it shares, to try out what would be."""
        copied = type(self)(self.limits, self._shared and self._shared.copy())
        copied._taken, copied._holders = dict(self._taken), dict(self._holders)
        copied._lent, copied.reserved = dict(self._lent), self.reserved
        if self._shared is None:
            copied._parts = dict(self._parts)
        return copied

    def beside(self, demand: Demand) -> Self:
        """Return one like this, in which a job has what it asks for: what fits there takes nothing of that.

        Where it has to wait for a GPU, it counts as having its part of each: it may be any of them.
        """
        copied = self.copy()
        devices = copied._choose(demand)
        copied.adopt(copied, demand, [each.id for each in demand.among] if devices is None else devices)
        return copied

    def taken(self, name: str) -> int:
        """Return how much of something is taken here."""
        return self._taken.get(name, 0)

    def counts(self, name: str) -> bool:
        """Tell whether there is a limit to something, here or for the whole machine."""
        return name in self.limits or (self._shared is not None and self._shared.counts(name))

    def shortage(self, demand: Demand) -> Shortage | None:
        """Return what a job asks for more of than there is, so that it will never fit; None where it may."""
        for name, amount in demand.counts.items():
            if amount > self.limits.get(name, amount):
                return Shortage(name, amount, self.limits[name])
        if self._shared is not None:
            return self._shared.shortage(demand)
        if not demand.takes_gpu:
            return None
        able = sum(demand.parts_of(device) is not None for device in demand.among)
        if able >= max(demand.gpus, 1):
            return None
        if demand.gpu_memory and len(demand.among) >= max(demand.gpus, 1):
            most = sorted((device.memory for device in demand.among), reverse=True)
            return Shortage("gpu_memory", demand.gpu_memory, most[int(max(demand.gpus, 1)) - 1])
        return Shortage("gpus", demand.gpus or 1, len(demand.among))

    def lacks_shared(self, demand: Demand) -> frozenset[str]:
        """Return what alone keeps a job waiting now: what there is too little of, for all queues together."""
        if self._shared is None or not self._has_own(demand.counts, 0) or self._choose(demand) is None:
            return frozenset()
        return frozenset(
            name for name, amount in demand.counts.items() if not self._shared._has_own({name: amount}, 0)
        )

    def fits(self, demand: Demand, *, beyond: int = 0) -> bool:
        """Tell whether a job fits now, with so many cpus ``beyond`` those of the queue."""
        return self._has(demand.counts, beyond) and self._choose(demand) is not None

    def take(
        self, key: Hashable, demand: Demand, *, beyond: int = 0, beside: Capacity | None = None
    ) -> tuple[str, ...] | None:
        """Give a job what it asks for; where it does not fit, nothing is taken.

        Args:
            key: what the job is known by.
            demand: what it takes.
            beyond: so many cpus more than the queue has may be taken: of a job that is to begin later.
            beside: what `beside` has returned: its GPUs are those that it would get there.

        Returns:
            the ids of its GPUs; None where it does not fit.

        Raises:
            ValueError: it has something already.
        """
        if not self._has(demand.counts, beyond):
            return None
        devices = (self if beside is None else beside)._choose(demand)
        if devices is not None:
            self.adopt(key, demand, devices)
        return devices

    def holds(self, key: Hashable) -> bool:
        """Tell whether a job has anything: one that goes again may have GPUs of its last attempt still."""
        return key in self._holders

    def adopt(self, key: Hashable, demand: Demand, devices: Collection[str] = ()) -> None:
        """Note what a job has already, whether or not there is room for it.

        Raises:
            ValueError: it is noted already.
        """
        if key in self._holders:
            raise ValueError(f"{key!r} has something already")
        parts = {}
        known = {device.id: device for device in demand.among}
        for device in devices:
            parts[device] = (demand.parts_of(known[device]) if device in known else None) or PARTS
            self._parts[device] = self._parts.get(device, 0) + parts[device]
        self._holders[key] = _Held(demand.counts, parts)
        self._count(demand.counts, 1)

    def give_back(self, key: Hashable, *, keep_devices: bool = False) -> None:
        """Take back what a job has, if it has anything; with ``keep_devices`` all but its GPUs."""
        self.take_back(key)
        held = self._holders.pop(key, None)
        if held is None:
            return
        self._count(held.counts, -1)
        if keep_devices and held.parts:
            self._holders[key] = _Held(NOTHING, held.parts)
            return
        for device, parts in held.parts.items():
            self._parts[device] -= parts
            if not self._parts[device]:
                del self._parts[device]

    def lend(self, key: Hashable) -> None:
        """A job waits for others, which may have its cpus meanwhile; all else it keeps."""
        held = self._holders.get(key)
        if held is not None and key not in self._lent and "cpus" in held.counts:
            self._lent[key] = {"cpus": held.counts["cpus"]}
            self._count(self._lent[key], -1)

    def take_back(self, key: Hashable) -> None:
        """A job goes on that has lent its cpus: it has them at once, whether or not there is room."""
        if key in self._lent:
            self._count(self._lent.pop(key), 1)

    def clear(self) -> None:
        """Take back what all jobs of this queue have."""
        for key in list(self._holders):
            self.give_back(key)

    # --- how it is counted --------------------------------------------------------------------

    def _has(self, counts: Mapping[str, int], beyond: int) -> bool:
        return self._has_own(counts, beyond) and (self._shared is None or self._shared._has_own(counts, 0))

    def _has_own(self, counts: Mapping[str, int], beyond: int) -> bool:
        for name, amount in counts.items():
            limit = self.limits.get(name)
            if limit is None or not amount:
                continue
            if name == "cpus":
                limit += beyond
            if name in self.reserved:
                return False
            if self._taken.get(name, 0) + amount > limit:
                return False
        return True

    def _count(self, counts: Mapping[str, int], sign: int) -> None:
        for name, amount in counts.items():
            self._taken[name] = self._taken.get(name, 0) + sign * amount
        if self._shared is not None:
            self._shared._count(counts, sign)

    def _choose(self, demand: Demand) -> tuple[str, ...] | None:
        """Return GPUs that a job can have now: whole ones, or a share of the fullest that has room for it."""
        if not demand.takes_gpu:
            return ()
        free: list[tuple[int, int, str]] = []
        for device in demand.among:
            parts, taken = demand.parts_of(device), self._parts.get(device.id, 0)
            if parts is not None and taken + parts <= PARTS:
                free.append((-taken, len(free), device.id))
        wanted = max(int(demand.gpus), 1)
        if len(free) < wanted:
            return None
        return tuple(each for _, _, each in sorted(free)[:wanted])
