"""Values and jobs in the messages of checks: enough to know them by, and why a job has ended so."""

from __future__ import annotations

from typing import Any

LONGEST = 300
"""Characters of a value, at most."""


def short_repr(value: object) -> str:
    """Return the repr of a value, cut in the middle where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def describe_end(job: Any) -> str:
    """Return how a job has ended, and why, where it tells."""
    status = job.status()
    name = getattr(status, "name", repr(status))
    try:
        error = job.exception(0)
    except Exception:  # a plain job has no such method; another may know nothing of its end
        return name
    return name if error is None else f"{name}: {error}"
