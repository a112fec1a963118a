"""A made-up ``pynvml`` with one GPU, on which a process is that writes into a file what it has there."""

from __future__ import annotations

from pathlib import Path

MODULE = """
import os
from types import SimpleNamespace

DIRECTORY = {directory!r}
looks = {{}}


class NVMLError(Exception):
    pass


def nvmlInit():
    pass


def nvmlShutdown():
    pass


def nvmlDeviceGetCount():
    return 1


def nvmlDeviceGetHandleByIndex(number):
    return number


def nvmlDeviceGetMigMode(handle):
    raise NVMLError("Not Supported")


def nvmlDeviceGetUUID(handle):
    return "GPU-a"


def nvmlDeviceGetMemoryInfo(handle):
    return SimpleNamespace(total=24 << 30)


def nvmlDeviceGetComputeRunningProcesses(handle):
    found = []
    for name in os.listdir(DIRECTORY):
        if name.isdigit():
            with open(os.path.join(DIRECTORY, name)) as stream:
                found.append(SimpleNamespace(pid=int(name), usedGpuMemory=int(stream.read())))
            looks[name] = looks.get(name, 0) + 1
            if looks[name] == 2:  # what was told the first time has been noted
                open(os.path.join(DIRECTORY, name + ".seen"), "w").close()
    return found
"""
OCCUPY = 'echo $2 > "$1/new.$$"; mv "$1/new.$$" "$1/$$"; until [ -e "$1/$$.seen" ]; do sleep 0.01; done'
"""A script that has some bytes on the GPU until that was seen: of the directory, and how many."""


def made_up_nvml(root: Path) -> tuple[Path, Path]:
    """Return where the module is, to be imported from there, and the directory that it reads."""
    modules, gpu = root / "modules", root / "gpu"
    modules.mkdir()
    gpu.mkdir()
    (modules / "pynvml.py").write_text(MODULE.format(directory=str(gpu)))
    return modules, gpu
