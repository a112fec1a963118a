"""What came of a job whose worker could not say so itself, by the exception that Ray raises of it.

Sent along to the cluster, as `anyjob_ray.worker` is; it knows Ray's exceptions by name, so that no
version must have them all.
"""

from __future__ import annotations

import time
from typing import Any

REASONS = {
    "OutOfMemoryError": "memory",
    "WorkerCrashedError": "signal",
    "NodeDiedError": "node-failure",
    "LocalRayletDiedError": "node-failure",
    "ActorUnschedulableError": "rejected",
    "TaskUnschedulableError": "rejected",
    "RuntimeEnvSetupError": "rejected",
    "ObjectLostError": "lost",
    "OwnerDiedError": "lost",
    "RaySystemError": "lost",
}


def said_of(error: BaseException, fate: str = "", walltime: float | None = None) -> dict[str, Any]:
    """Return what came of a job, as the worker would have said it.

    Args:
        error: what Ray raises instead of a result.
        fate: ``cancelled`` or ``walltime``, if the job was killed for that; ``died``, if its worker is known
            to have died, whatever Ray says.
        walltime: seconds that it was to run at most.
    """
    names = _names(error)
    said: dict[str, Any] = {"status": "ERROR", "finished": time.time()}
    if fate == "walltime":
        limit = "" if walltime is None else f" the {walltime:g} s that were asked for"
        return {**said, "reason": "walltime", "message": f"it ran longer than{limit}, and was killed"}
    if fate == "cancelled" or (not fate and "TaskCancelledError" in names):
        return {**said, "status": "CANCELLED"}
    reason = next((REASONS[name] for name in names if name in REASONS), "exception")
    reason = "signal" if fate == "died" else reason
    return {**said, "reason": reason, "message": in_words(reason, error)}


def in_words(reason: str, error: BaseException) -> str:
    """Return what happened, and what Ray says of it."""
    heads = {
        "memory": "Ray killed the worker process, since the node ran out of memory: ask for more (memory=…)",
        "signal": "the worker process ended, or was killed, while the job ran",
        "node-failure": "the node died while the job ran",
        "rejected": "Ray cannot run it",
        "lost": "the cluster lost it",
    }
    text = " ".join(str(error).split())
    if len(text) > 1500:
        text = text[:1500] + "…"
    head = heads.get(reason, f"Ray failed ({type(error).__name__})")
    return f"{head}; Ray says: {text}" if text else head


def is_cancel(error: BaseException) -> bool:
    """Tell whether Ray raises this of a task that was cancelled."""
    return "TaskCancelledError" in _names(error)


def _names(error: BaseException) -> list[str]:
    """What an exception is, and what it was made of in the worker."""
    both = (error, getattr(error, "cause", None))
    return [kind.__name__ for each in both for kind in type(each).__mro__]
