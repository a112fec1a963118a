"""When a device ran a job, and what of its time that used: as far as the job, or its result, tells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

USAGE = "quantum seconds"
"""What the usage of a device is counted in."""
_USAGES = ("quantum_seconds", "qpu_charge_time_seconds", "seconds")


class DeviceTimes(NamedTuple):
    """When a job ran, in seconds since 1970, and for how many seconds it used the device; None: not told."""

    started: float | None = None
    finished: float | None = None
    usage: float | None = None


def device_times(job: Any, result: Any) -> DeviceTimes:
    """Return what a job of a device tells by ``metrics()``, as IBM's do, or its result by date and duration.

    Times are told beside a result, and never fail it: what cannot be read is left out.
    """
    found = _of_metrics(job)
    return _of_result(result) if found == DeviceTimes() else found


def _of_metrics(job: Any) -> DeviceTimes:
    ask = getattr(job, "metrics", None)
    try:
        metrics = ask() if callable(ask) else None
    except Exception:  # of a provider that is away, or has none for such a job
        return DeviceTimes()
    if not isinstance(metrics, Mapping):
        return DeviceTimes()
    times, usage = (_table(metrics.get(name)) for name in ("timestamps", "usage"))
    if type(job).__name__ == "LocalRuntimeJob":  # its times are those when it was made
        times = {}
    used = (_number(usage.get(name)) for name in _USAGES)
    return DeviceTimes(
        _seconds(times.get("running")),
        _seconds(times.get("finished")),
        next((each for each in used if each is not None), None),
    )


def _of_result(result: Any) -> DeviceTimes:
    finished = _seconds(getattr(result, "date", None))
    took = _number(getattr(result, "time_taken", None))
    started = finished - took if finished is not None and took is not None else None
    return DeviceTimes(started, finished)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None


def _seconds(value: Any) -> float | None:
    """A time as ``datetime`` or as text of ISO 8601; without a zone it is that of this machine."""
    try:
        return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
