"""The processes that a worker process has started, by what Linux tells of each."""

from __future__ import annotations

import os
import signal


def kill_this_process_tree() -> None:
    """End this process, and all that descend from it, by SIGKILL."""
    for pid in descendants(os.getpid()):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
    os.kill(os.getpid(), signal.SIGKILL)


def descendants(root: int) -> list[int]:
    """Return the ids of the processes that descend from one."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stream:
                    parent = int(stream.read().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    left = [root]
    while left:
        left += (below := children.get(left.pop(), []))
        found += below
    return found
