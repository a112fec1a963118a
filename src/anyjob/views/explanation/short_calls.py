"""Whether many short calls of a `local` backend would gain by warm processes, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

MANY = 50
"""Calls that were made within a week, from which on it is worth a thought."""
SHORT = 0.5
"""Seconds below which a process of its own, and imports, are most of what a call takes."""
WAY_OUT = (
    'where they leave nothing in modules that others trip over, set isolation = "reuse" for that backend: '
    "a warm process makes one after the other, and imports once"
)


def usual_if_many_and_short(options: Mapping[str, Any], seconds: Sequence[float]) -> str:
    """Return how long calls take, where each pays a process of its own and that matters; else nothing.

    Args:
        options: those of the `local` backend.
        seconds: how long those calls took that are done, of late.
    """
    if options.get("isolation") == "reuse" or len(seconds) < MANY or median(seconds) > SHORT:
        return ""
    return f"{median(seconds) * 1000:.0f} ms as a rule, with the start of a process and all imports each time"
