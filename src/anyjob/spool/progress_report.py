"""What a job says of itself while it runs: how far it is, in words and numbers; a small file."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from anyjob.text.printable import shortened

if TYPE_CHECKING:
    from pathlib import Path

FILE = "progress.json"
PAUSE = 0.2
"""Seconds between two reports that are written, at least: who reports in a loop is not held up by it."""
LONGEST = 500
"""Characters of a message, or of a value that is text."""
MOST_VALUES = 50
MOST_READ = 64 * 1024

_last = 0.0


class ProgressReport(NamedTuple):
    """What a job has said last.

    Args:
        fraction: how far it is, from 0 to 1; None where it has not said.
        message: the same in words.
        values: numbers and text by name.
        when: when it has said so, in seconds since 1970.
    """

    fraction: float | None = None
    message: str = ""
    values: Mapping[str, Any] = {}
    when: float | None = None

    def in_words(self) -> str:
        """Return that in a line: ``30% epoch 3 loss=0.1``."""
        part = [] if self.fraction is None else [f"{self.fraction:.0%}"]
        values = [
            f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.values.items()
        ]
        return " ".join([*part, *([self.message] if self.message else []), *values])


def progress(fraction: float | None = None, message: str = "", **values: Any) -> None:
    """Say from within a job how far it is; ``anyjob show``, ``explain`` and ``top`` tell it.

    It costs next to nothing: what is said more often than five times a second is left out, but for a fraction
    of 1. Outside of a job, and where it cannot be written, it does nothing. A program that is no Python
    writes the same as JSON into the file ``progress.json`` of the directory that ``ANYJOB_SPOOL`` names.

    Args:
        fraction: how far it is, from 0 to 1.
        message: the same in words.
        values: numbers or text by name, such as ``loss=0.1``.

    Raises:
        ValueError: the fraction is no number from 0 to 1.
    """
    global _last
    if fraction is not None:
        try:
            part = float(fraction)
        except (TypeError, ValueError):
            part = math.nan
        if not 0 <= part <= 1:
            raise ValueError(f"fraction is a number from 0 to 1, not {fraction!r}")
        fraction = part
    directory, now = os.environ.get("ANYJOB_SPOOL"), time.monotonic()
    if not directory or (now - _last < PAUSE and fraction != 1):
        return
    _last = now
    told = {
        "fraction": fraction,
        "message": str(message),
        "values": {k: _plain(v) for k, v in values.items()},
    }
    path = os.path.join(directory, FILE)
    beside = f"{path}.{os.getpid()}"
    try:
        with open(beside, "w", encoding="utf-8") as file:
            json.dump({**told, "when": time.time()}, file)
        os.replace(beside, path)
    except OSError:
        pass  # a job does not fail for what it says of itself


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    try:
        number = float(value)  # those of NumPy and of torch, too
    except (TypeError, ValueError):
        return shortened(str(value), LONGEST)
    return number if math.isfinite(number) else str(number)


def read(directory: Path) -> ProgressReport | None:
    """Return what a job has said last, by its directory; None where it has said nothing that makes sense."""
    from anyjob.errors import StateError
    from anyjob.spool.private_files import read_range

    try:
        found = json.loads(read_range(directory / FILE, 0, MOST_READ))
    except (OSError, ValueError, StateError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    fraction, when, values = found.get("fraction"), found.get("when"), found.get("values")
    said = ProgressReport(
        min(1.0, max(0.0, float(fraction))) if _is_number(fraction) else None,
        shortened(str(found.get("message") or ""), LONGEST),
        _few(values) if isinstance(values, dict) else {},
        float(when) if _is_number(when) else None,
    )
    return said if said.in_words() else None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _few(values: Mapping[str, Any]) -> dict[str, Any]:
    few = list(values.items())[:MOST_VALUES]
    return {
        shortened(str(name), 100): value if _is_number(value) else shortened(str(value), LONGEST)
        for name, value in few
    }
