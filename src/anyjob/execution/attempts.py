"""What the attempts of a job leave in its directory: what one has written stays, under its number."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from anyjob.execution.log_reading import STREAMS


def stream_of_attempt(stream: str, attempt: int) -> str:
    """Return the name of the file with what an attempt wrote that was followed by another."""
    return f"{stream}.{attempt}"


def put_attempt_aside(directory: Path, attempt: int) -> None:
    """Keep what an attempt has written, and remove what else is left of it, before the next one starts.

    It may be done twice: what has been put aside stays as it is.

    Raises:
        OSError: it cannot be done.
    """
    for path in (*directory.glob("claim*"), *directory.glob("outcome.*")):
        path.unlink(missing_ok=True)
    for stream in STREAMS:
        aside = directory / stream_of_attempt(stream, attempt)
        if not os.path.lexists(aside):
            with suppress(FileNotFoundError):
                os.rename(directory / stream, aside)
