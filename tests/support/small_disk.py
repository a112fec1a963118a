"""A disk of its own for a test that fills it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(directory: Path, options: str) -> Iterator[Path]:
    """Mount a tmpfs below a directory; skip the test where one may not."""
    disk = directory / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "tmpfs", disk], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a disk that is full needs root: {done.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def fill(path: str | os.PathLike[str]) -> None:
    """Write to a file until the disk is full, which is raised."""
    with open(path, "ab", buffering=0) as stream:
        while True:
            stream.write(bytes(1 << 16))


def fill_up(path: Path) -> None:
    """Leave no byte on the disk of a file."""
    with contextlib.suppress(OSError):
        fill(path)
    with open(path, "ab", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(512))
