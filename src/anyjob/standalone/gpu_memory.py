"""How much memory of NVIDIA's GPUs each job has, as their driver tells of its processes.

It needs the package ``nvidia-ml-py``. Whose a process is, the mark of its job tells, which it, or one that it
descends from, carries in its environment. In containers with pids of their own the driver tells of none.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from typing import Any

EVERY = 0.5
"""Seconds between two looks."""
JOB_ID = b"ANYJOB_JOB_ID="
DEEPEST = 64
"""Generations of processes that are looked at for the mark of a job."""


def watch(note: Callable[[str, int], None], over: threading.Event) -> None:
    """Tell how many bytes each job has at the moment, again and again until that event.

    Where nothing tells of GPUs, it returns at once.
    """
    try:
        import pynvml  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return
    try:
        while True:
            for job_id, size in by_job(pynvml).items():
                note(job_id, size)
            if over.wait(EVERY):
                return
    finally:
        pynvml.nvmlShutdown()


def by_job(pynvml: Any) -> dict[str, int]:
    """Return the bytes that each job has on all GPUs together."""
    found: dict[str, int] = {}
    try:
        for handle, _ in handles(pynvml):
            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle):
                job_id = job_of(process.pid)
                if job_id and process.usedGpuMemory is not None:
                    found[job_id] = found.get(job_id, 0) + int(process.usedGpuMemory)
    except pynvml.NVMLError:
        pass  # one has gone, or may not be asked: of the others it is known
    return found


def handles(pynvml: Any) -> Iterator[tuple[Any, str]]:
    """Yield each GPU with its index; of one that is divided (MIG), its parts, which have none."""
    for number in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(number)
        parts = _parts(pynvml, handle)
        if not parts:
            yield handle, str(number)
        for part in parts:
            yield part, ""


def _parts(pynvml: Any, handle: Any) -> list[Any]:
    parts = []
    try:
        if pynvml.nvmlDeviceGetMigMode(handle)[0]:
            for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
                try:
                    parts.append(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
                except pynvml.NVMLError:
                    continue  # there are fewer than there could be
    except pynvml.NVMLError:
        return []  # it cannot be divided
    return parts


def job_of(pid: int) -> str:
    """Return the id of the job that a process is part of; empty where it is none's, or has ended."""
    for _ in range(DEEPEST):
        if pid <= 1:
            break
        try:
            with open(f"/proc/{pid}/environ", "rb") as stream:
                _, mark, rest = (b"\0" + stream.read()).partition(b"\0" + JOB_ID)
            if mark:
                return os.fsdecode(rest.partition(b"\0")[0])
            with open(f"/proc/{pid}/stat", "rb") as stream:
                pid = int(stream.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return ""
