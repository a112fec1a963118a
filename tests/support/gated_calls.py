"""Calls that wait at a gate, a pipe with a name, until a test opens it; for workers of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def gate_in(directory: Path) -> Iterator[Path]:
    """Inside, there is a gate; at the end all that still waits is let through."""
    made = directory / "gate"
    os.mkfifo(made)
    yield made
    with open(os.open(made, os.O_RDWR | os.O_NONBLOCK), "wb") as stream:
        stream.write(b"\n" * 10)


def opened(gate: Path) -> None:
    """Let the one through that waits, or the next."""
    gate.write_bytes(b"\n")


def after(gate: Path, value: Any) -> Any:
    gate.read_bytes()
    return value


def fails(gate: Path) -> Any:
    gate.read_bytes()
    raise ValueError("too cold")
