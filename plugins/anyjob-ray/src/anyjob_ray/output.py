"""Reads what a job writes while it runs: from the files of its worker, here or on its node."""

from __future__ import annotations

import os
from typing import Any

from anyjob_ray.nodes import on_node

PART = 1 << 20
"""Bytes that are read at a time."""


def read_running(ray: Any, place: tuple[Any, ...], stream: str, offset: int, patience: float) -> bytes:
    """Read from an offset of what a job has written so far.

    Args:
        ray: the module.
        place: where the job runs and writes, as its worker has told.
        stream: ``stdout`` or ``stderr``.
        offset: bytes of the job's own output to pass over.
        patience: seconds within which another node must answer; nothing is read where it does not.
    """
    node, out, err, out_start, err_start, _ = place
    path, start = (out, out_start) if stream == "stdout" else (err, err_start)
    if os.path.isfile(path):  # of this machine: the path holds the name of Ray's session
        with open(path, "rb") as file:
            return os.pread(file.fileno(), PART, start + offset)
    return _read_there(ray, node, path, start + offset, patience)


def _read_there(ray: Any, node: str, path: str, offset: int, patience: float) -> bytes:
    from anyjob_ray.worker import read_part

    try:
        return bytes(ray.get(on_node(node, read_part).remote(path, offset, PART), timeout=patience))
    except Exception:  # the node is gone, and what was written there with it
        return b""
