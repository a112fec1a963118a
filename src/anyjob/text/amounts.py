"""Times, sizes and costs, as a person reads them in a listing."""

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


def size(count: int) -> str:
    """Return a number of bytes for a person: ``812 B``, ``3.1 MiB``."""
    number, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{count} B" if unit == "B" else f"{number:.1f} {unit}"


def money(cost: float, currency: str) -> str:
    """Return a cost for a person: ``0.35 USD``. Four digits count, and all before the point."""
    number = f"{cost:.4g}" if abs(cost) < 1000 else f"{cost:.2f}".rstrip("0").rstrip(".")
    return f"{number} {currency}".rstrip()
