"""Ends what the `local` backend has left running for a directory: supervisor, keeper, zygotes, jobs."""

from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path

from anyjob.builtin.local.keeper.processes.memory_groups import RECORD, sweep
from anyjob.builtin.local.process_table import KEEPER, ZYGOTE

TIMEOUT = 20.0
"""Seconds after which processes that were killed should be gone."""
MARKS = (KEEPER + b"=", ZYGOTE + b"=", b"XDG_RUNTIME_DIR=")


def end_leftovers(directory: Path) -> None:
    """Kill the processes whose state or sockets are below a directory, until none is left.

    Those that a supervisor or keeper has just started are known by their command already, and jobs by
    the marks in their environment.
    """
    deadline = time.monotonic() + TIMEOUT
    while left := leftovers(directory):
        assert time.monotonic() < deadline, f"processes {left} cannot be ended"
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.002)  # for the kernel to end them: /proc cannot be waited for
    for record in directory.rglob(f"hosts/*/{RECORD}"):  # also of a keeper that was killed before
        sweep(record.parents[2], record.parent)


def leftovers(directory: Path) -> list[int]:
    """Return the pids of the programs of ours, and of their jobs, that belong to a directory."""
    path = os.fsencode(directory)
    return [pid for name in os.listdir("/proc") if name.isdigit() and _belongs(pid := int(name), path)]


def _belongs(pid: int, directory: bytes) -> bool:
    if pid == os.getpid():
        return False
    command = _read(pid, "cmdline").split(b"\0")
    options = dict(itertools.pairwise(command))
    if any(_is_below(options.get(name, b""), directory) for name in (b"--state", b"--runtime")):
        return True
    environment = _read(pid, "environ").split(b"\0")
    marks = {mark: entry[len(mark) :] for entry in environment for mark in MARKS if entry.startswith(mark)}
    is_ours = MARKS[0] in marks or MARKS[1] in marks
    return is_ours and any(_is_below(value, directory) for value in marks.values())


def _is_below(path: bytes, directory: bytes) -> bool:
    return path.rstrip(b"/") == directory or path.startswith(directory + b"/")


def _read(pid: int, name: str) -> bytes:
    try:
        return Path("/proc", str(pid), name).read_bytes()
    except OSError:
        return b""
