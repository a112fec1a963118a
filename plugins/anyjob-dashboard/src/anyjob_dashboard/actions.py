"""What somebody at the page has done with jobs, by the public API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anyjob import AnyjobError, Session

MOST = 1_000
"""Jobs that something is done with at a time."""
REFUSED = {
    "cancel": "it has ended",
    "hold": "only what waits can be held",
    "release": "only what is held can be released",
    "pause": "only what runs can be paused",
    "resume": "only what is paused can be resumed",
}
"""Why an action came to nothing."""


def act(session: Session, action: str, job_ids: Sequence[str]) -> str:
    """Do something with jobs, and say in words what came of it.

    Raises:
        ValueError: there is no such action, or this is no list of jobs.
    """
    does: dict[str, Callable[[list[Any]], list[Any]]] = {
        "cancel": session.cancel,
        "hold": session.hold,
        "release": session.release,
        "pause": session.pause,
        "resume": session.resume,
        "rerun": session.rerun,
    }
    if action not in does:
        raise ValueError(f"there is no action {action!r}: {', '.join(does)} are known")
    if not 0 < len(job_ids) <= MOST:
        raise ValueError(f"name 1 to {MOST} jobs, not {len(job_ids)}")
    try:
        came = does[action]([session.get_job(job_id) for job_id in job_ids])
    except AnyjobError as error:
        return f"{action}: {error}"
    except Exception as error:  # of a plugin
        return f"{action}: {type(error).__name__}: {error}"
    if action == "rerun":
        return "runs anew as " + ", ".join(job.job_id()[:8] for job in came)
    if all(came):
        return f"{action}: done"
    of = f" for {came.count(False)} of {len(came)}" if len(came) > 1 else ""
    return f"{action}: not done{of}: {REFUSED[action]}"
