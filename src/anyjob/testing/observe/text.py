"""What the kit shows of a value, enough to know it by, and of a job, enough to know why it ended so."""

from __future__ import annotations

from typing import Any

SHOWN = 300
"""Characters of a value, at most."""


def short(value: object) -> str:
    """Return the repr of a value, cut in the middle where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]} … {text[-SHOWN // 2 :]}"


def how(job: Any) -> str:
    """Return how a job has ended, and why, where it tells."""
    status = job.status()
    name = getattr(status, "name", repr(status))
    try:
        error = job.exception(0)
    except Exception:  # a plain job has no such method; another may know nothing of its end
        return name
    return name if error is None else f"{name}: {error}"
