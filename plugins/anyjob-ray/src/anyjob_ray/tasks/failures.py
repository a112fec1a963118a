"""The outcome of a job whose worker could not tell it, by the exception that Ray raises of its task.

Ray's exceptions are known by their names, so that no version must have them all.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping
from typing import Any

from anyjob.sdk import runner

broken = runner.broken
RESULT_LOST = runner.RESULT_LOST

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


def failed_outcome(error: BaseException, cause: str = "", walltime: float | None = None) -> dict[str, Any]:
    """Return what came of a job, as the worker would have told it.

    Args:
        error: what Ray raises instead of a result.
        cause: ``cancelled`` or ``walltime``, if the job was killed for that; ``died``, if its worker is known
            to have died, whatever Ray says.
        walltime: seconds that it was to run at most.
    """
    names = _class_names(error)
    outcome: dict[str, Any] = {"status": "ERROR", "finished": time.time()}
    if cause == "walltime":
        limit = "" if walltime is None else f" the {walltime:g} s that were asked for"
        return {**outcome, "reason": "walltime", "message": f"it ran longer than{limit}, and was killed"}
    if cause == "cancelled" or (not cause and "TaskCancelledError" in names):
        return {**outcome, "status": "CANCELLED"}
    reason = next((REASONS[name] for name in names if name in REASONS), "exception")
    reason = "signal" if cause == "died" else reason
    return {**outcome, "reason": reason, "message": _message(reason, error)}


def bereft_outcome(error: BaseException, taken: Mapping[str, Any], durable: bool) -> dict[str, Any] | None:
    """Return what came of a job that has not run since Ray has lost a result that it takes; else None.

    Args:
        error: what Ray raises instead of a result. What a call raises itself never comes this way.
        taken: the object refs of the results, by the ids of their jobs.
        durable: whether the ledger knows which job takes which result.
    """
    both = (error, getattr(error, "cause", None))
    lost = {getattr(each, "object_ref_hex", None) for each in both}
    needed = next((job_id for job_id, ref in taken.items() if ref.hex() in lost), None)
    if needed is None:
        return None
    way_out = f"'anyjob rerun --downstream {needed}' makes it anew" if durable else "submit both anew"
    message = f"{RESULT_LOST.format(needed)} by Ray, with the node or the process that held it ({way_out})"
    return {**_not_run(message), "lost_result": needed}


def broken_outcome(job_id: str, outcome: bytes) -> bytes | None:
    """Return what comes of jobs that take the result of one; None where that has succeeded.

    Args:
        job_id: that one.
        outcome: what came of it, pickled.
    """
    known = pickle.loads(outcome)
    if known["status"] == "DONE":
        return None
    message = str(broken(job_id, known["status"], known.get("reason"), known.get("message", "")))
    return pickle.dumps({**_not_run(message), "lost_result": known.get("lost_result", "")}, 5)


def _not_run(message: str) -> dict[str, Any]:
    return {"status": "ERROR", "reason": "dependency", "message": message, "finished": time.time()}


def _message(reason: str, error: BaseException) -> str:
    """Say what happened, and what Ray says of it."""
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


def is_cancelled_error(error: BaseException) -> bool:
    """Tell whether Ray raises this of a task that was cancelled."""
    return "TaskCancelledError" in _class_names(error)


def _class_names(error: BaseException) -> list[str]:
    """What an exception is, and what it was made of in the worker."""
    both = (error, getattr(error, "cause", None))
    return [kind.__name__ for each in both for kind in type(each).__mro__]
