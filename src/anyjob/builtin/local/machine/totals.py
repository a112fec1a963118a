"""How much a backend of this machine has for its jobs: what it is told, or what the machine has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anyjob.builtin.local.machine.cgroups import ROOT, read

MIB = 1 << 20
_UNLIMITED = 1 << 60
"""Bytes from which a limit is none: version 1 of cgroups writes the largest number of pages."""


def totals(options: Mapping[str, Any]) -> dict[str, int]:
    """Return how much a backend of these options has of what its jobs take, by name."""
    found = {"cpus": int(options["slots"]), **(options.get("resources") or {})}
    size = options.get("memory") or memory()
    return {**found, "memory": size} if size else found


def memory() -> int:
    """Return the bytes of memory of this machine, or of the cgroup that limits this process to fewer.

    Returns:
        Whole MiB, as people read them; 0 where nothing tells.
    """
    limits = [_total(), *_cgroup_limits()]
    least = min((limit for limit in limits if limit), default=0)
    return least - least % MIB


def _total() -> int:
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _cgroup_limits() -> list[int]:
    """Return the limits of this process's cgroup, and of those that it is in, of either version."""
    found = []
    for line in read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, name = ROOT, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = f"{ROOT}/memory", "memory.limit_in_bytes"
        else:
            continue
        # In a container, the path may be as the host sees it: then only the root is there.
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts), -1, -1):
            text = read("/".join([root, *parts[:depth], name])).strip()
            if text.isdigit() and int(text) < _UNLIMITED:
                found.append(int(text))
    return found
