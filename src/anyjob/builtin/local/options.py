"""What is configured of a backend of the type ``local``."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal

import msgspec
from msgspec.structs import force_setattr

from anyjob.orders import Options


class LocalOptions(Options, frozen=True):
    """Options of the type ``local``."""

    slots: Annotated[
        int,
        msgspec.Meta(
            ge=1, description="cores that jobs may take at a time; a job takes one, or the cpus it asks for"
        ),
    ] = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    python: Annotated[
        str, msgspec.Meta(description="runs calls and our processes: an interpreter; by default this one")
    ] = ""
    preload: Annotated[
        tuple[str, ...], msgspec.Meta(description="modules to import once, before calls are forked off")
    ] = ()
    isolation: Annotated[
        Literal["fork", "reuse"],
        msgspec.Meta(
            description="whether each call has a process of its own (fork), or processes make call after "
            "call (reuse): many times the rate, for calls that leave nothing behind that others trip over"
        ),
    ] = "fork"
    recycle: Annotated[
        int,
        msgspec.Meta(ge=1, description="calls after which a process that is reused makes way for a new one"),
    ] = 1000
    grace: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=1e9, description="seconds between TERM and KILL, on cancel and at the walltime"
        ),
    ] = 5.0
    order: Annotated[
        Literal["fair", "fifo"],
        msgspec.Meta(
            description="of jobs of one priority: names take turns (fair), or first in, first out (fifo)"
        ),
    ] = "fair"
    durability: Annotated[
        Literal["normal", "full"],
        msgspec.Meta(
            description="what jobs survive: the death of any process (normal), or of the machine too (full, "
            "at the price of flushes to the disk)"
        ),
    ] = "normal"
    memory: Annotated[
        int | str | None,
        msgspec.Meta(
            description="what jobs that ask for memory may have together: 16GiB; by default what the "
            "machine, or its cgroup, has"
        ),
    ] = None
    gpus: Annotated[
        int | tuple[int | str, ...] | None,
        msgspec.Meta(description="how many there are, or their ids; by default as NVIDIA's driver tells"),
    ] = None
    gpu_memory: Annotated[
        int | str | None, msgspec.Meta(description="what each GPU has, where its driver does not tell: 24GiB")
    ] = None
    hide_gpus: Annotated[bool, msgspec.Meta(description="whether a job that asks for no GPU sees none")] = (
        True
    )
    resources: Annotated[
        dict[str, int],
        msgspec.Meta(description="what else there is of what jobs need, by name: { license = 2 }"),
    ] = {}
    limits: Annotated[
        dict[str, Annotated[int, msgspec.Meta(ge=0)]],
        msgspec.Meta(
            description="how many jobs of a name, or with a tag, may run at a time: "
            '{ fit = 3, "tag:study=a" = 2 }'
        ),
    ] = {}
    shared: Annotated[
        dict[str, int | str],
        msgspec.Meta(
            description="what all backends of this machine have together; by default as the table "
            "`resources` at the top of the configuration says"
        ),
    ] = {}

    def __post_init__(self) -> None:
        told_of = (self.memory, self.gpus, self.gpu_memory, self.resources or None, self.shared or None)
        if told_of == (None,) * len(told_of):
            return  # as most have it: so nothing is loaded for it
        from anyjob.builtin.local.machine import configured

        for name in ("memory", "gpu_memory"):
            force_setattr(self, name, configured.memory(name, getattr(self, name)))
        force_setattr(self, "gpus", configured.gpus(self.gpus))
        for name in ("resources", "shared"):
            force_setattr(self, name, configured.counts(name, getattr(self, name)))
