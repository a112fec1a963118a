"""Files of a durable job's directory: what it wrote, and a value that is too large for the ledger."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from pathlib import Path

from anyjob.execution.spool import KEPT_IN_LEDGER, InSpool
from anyjob.specs import Outcome


def store(directory: Path, outcome: Outcome, written: Sequence[bytes]) -> None:
    """Write what came of a job into its directory, as far as the ledger does not keep it.

    Args:
        directory: of the job; made where that is needed.
        outcome: whose value is replaced by a reference to the file where it is large.
        written: the ends of stdout and stderr.
    """
    if any(written):
        for stream, data in zip(("stdout", "stderr"), written, strict=True):
            _write(directory, stream, data)
    if isinstance(outcome.value, bytes) and len(outcome.value) > KEPT_IN_LEDGER:
        _write(directory, "outcome.pkl", pickle.dumps({"status": "DONE", "value": outcome.value}, 5))
        outcome.value = InSpool(directory / "outcome.pkl")


def _write(directory: Path, name: str, data: bytes) -> None:
    """Write a file, private to the user; whole, or not at all."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = directory / f"{name}.{os.getpid()}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(data)
    os.rename(part, directory / name)
