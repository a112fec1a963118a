"""Times and their lengths, as a person reads them in a listing."""

from __future__ import annotations

import time


def age(then: float) -> str:
    """Return how long ago that was."""
    return span(max(0.0, time.time() - then))


def span(seconds: float) -> str:
    """Return a length of time for a person: ``0.4s``, ``42s``, ``3m10s``, ``2h05m``, ``12d03h``."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    for size, unit, smaller, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // smaller:02d}{part}"
    return f"{whole}s"
