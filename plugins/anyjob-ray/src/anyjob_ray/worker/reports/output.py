"""What a job writes to stdout and stderr: log files of its worker, to which other jobs write, too."""

from __future__ import annotations

import io
import os
import sys
from typing import NamedTuple

from anyjob_ray.worker.job import Job

KEPT = 16 * 1024 * 1024
"""Bytes of each stream that are kept of a job when it has ended: the end of it."""


class Location(NamedTuple):
    """Where a job runs and writes. It passes between processes as a plain tuple.

    Args:
        node_id: Ray's id of the node.
        stdout: path of the file.
        stderr: path of the file.
        stdout_start: where in the file the job's own output begins, in bytes.
        stderr_start: the same.
        started: when the job started, in seconds since the epoch.
    """

    node_id: str
    stdout: str
    stderr: str
    stdout_start: int
    stderr_start: int
    started: float


def location_of(job: Job) -> Location:
    """Say where the job that runs in this process writes."""
    import ray

    node_id = str(ray.get_runtime_context().get_node_id())
    stdout, stderr = (os.readlink(f"/proc/self/fd/{fd}") for fd in (1, 2))
    stdout_start, stderr_start = job.output_offsets
    return Location(node_id, stdout, stderr, stdout_start, stderr_start, job.started)


def output_sizes() -> list[int]:
    """Return how many bytes stdout and stderr hold by now."""
    sizes = []
    for fd in (1, 2):
        try:
            sizes.append(os.lseek(fd, 0, os.SEEK_END))
        except OSError:  # the job has closed it, or it is no file
            sizes.append(0)
    return sizes


def written_by(job: Job) -> tuple[bytes, bytes]:
    """Return what a job has written to stdout and stderr: the end of each."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue
    stdout, stderr = output_sizes()
    return _read(1, job.output_offsets[0], stdout), _read(2, job.output_offsets[1], stderr)


def _read(fd: int, start: int, stop: int) -> bytes:
    if stop <= start:
        return b""
    start = max(start, stop - KEPT)
    try:
        with open(f"/proc/self/fd/{fd}", "rb") as stream:
            return os.pread(stream.fileno(), stop - start, start)
    except OSError:
        return b""


def read_file(path: str, offset: int, size: int) -> bytes:
    """Read from a file of this machine: a task of its own, on the node where a job writes."""
    with io.FileIO(path) as stream:
        return os.pread(stream.fileno(), size, offset)
