"""Reads what a job writes while it runs: from the log files of its worker, here or on its node."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from anyjob_ray.tasks.nodes import remote_on_node
from anyjob_ray.worker.reports.output import Location, read_file

CHUNK = 1 << 20
"""Bytes that are read at a time."""


def read_job_log(ray: Any, location: Sequence[Any], stream: str, offset: int, timeout: float) -> bytes:
    """Read from an offset of what a job has written so far.

    Args:
        ray: the module.
        location: where the job runs and writes: the fields of a `Location`.
        stream: ``stdout`` or ``stderr``.
        offset: bytes of the job's own output to pass over.
        timeout: seconds within which another node must answer; nothing is read where it does not.
    """
    at = Location(*location)
    path, start = (at.stdout, at.stdout_start) if stream == "stdout" else (at.stderr, at.stderr_start)
    if os.path.isfile(path):  # of this machine: the path holds the name of Ray's session
        with open(path, "rb") as file:
            return os.pread(file.fileno(), CHUNK, start + offset)
    try:
        ref = remote_on_node(at.node_id, read_file).remote(path, start + offset, CHUNK)
        return bytes(ray.get(ref, timeout=timeout))
    except Exception:  # the node is gone, and what was written there with it
        return b""
