"""What a node has left of a job that has not said itself what came of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from anyjob.errors import StateError
from anyjob.spool.private_files import open_private, read_range
from anyjob.spool.reports import parse_outcome

LOG_SHOWN = 2000
"""Characters of the end of a log that an error message holds."""


def refresh_directory(directory: Path) -> None:
    """Have a network file system refresh its cache of a directory."""
    with suppress(OSError):
        os.listdir(directory)


def read_observed_end(directory: Path) -> tuple[dict[str, Any], bool]:
    """Return what was seen of an end that the scheduler may have brought about, and whether it has.

    Empty where nothing was seen.
    """
    for name in ("terminated.pkl", "ended.pkl"):
        try:
            with open_private(directory / name) as stream:
                found = parse_outcome(stream.read())
        except (OSError, StateError):
            continue
        if found is not None:
            return msgspec.structs.asdict(found), name == "terminated.pkl"
    return {}, False


def end_of_log(log: Path) -> str:
    """Return the end of what was said before the work started."""
    try:
        size = log.stat().st_size
        data = read_range(log, max(0, size - 4 * LOG_SHOWN))
    except (OSError, StateError):
        return ""
    return data.decode("utf-8", "replace").strip()[-LOG_SHOWN:]
