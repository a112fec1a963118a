"""The states of a job, and how what a ``status()`` returned is taken for one."""

from __future__ import annotations

from enum import Enum

from anyjob.errors import InvalidStatusError


class JobStatus(Enum):
    """Where a job is in its life. The value is what to tell a person."""

    INITIALIZING = "job is being initialized"
    QUEUED = "job is queued"
    VALIDATING = "job is being validated"
    RUNNING = "job is actively running"
    CANCELLED = "job has been cancelled"
    DONE = "job has successfully run"
    ERROR = "job incurred error"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, JobStatus):
            return self is other
        # Code that takes its `JobStatus` from Qiskit, and the rest from here, compares the two.
        return isinstance(other, Enum) and type(other).__name__ == "JobStatus" and other.name == self.name

    __hash__ = Enum.__hash__


JOB_FINAL_STATES = (JobStatus.DONE, JobStatus.CANCELLED, JobStatus.ERROR)

_BY_TEXT = {text: status for status in JobStatus for text in (status.name, status.value)}


PREREQUISITES = ("after", "after_end", "after_failure")
"""The keywords of a ``run`` that say which jobs have to succeed, to end, or to fail before it starts."""

LIMIT = "limit"
"""The keyword of a ``run`` that says how many jobs of its name may run at a time."""

ONCE = ("once", "version", "cache")
"""The keywords of a ``run`` that say by what it is known, so that it is done once."""


def as_status(answer: object, job: object = None) -> JobStatus:
    """Take what a ``status()``, that of ``job``, returned as a `JobStatus`.

    A member's name or value, and a member of another enum with such a name, are taken as that
    member: all have been seen in the wild.

    Args:
        answer: what it returned.
        job: the job, for the error.

    Raises:
        InvalidStatusError: for anything else (a dict, None, a coroutine…), since to go on asking
            would be to wait for ever (qiskit-ibm-runtime#2673).
    """
    if isinstance(answer, JobStatus):
        return answer
    text = answer.name if isinstance(answer, Enum) else answer
    status = _BY_TEXT.get(text) if isinstance(text, str) else None
    if status is not None:
        return status
    if hasattr(answer, "close") and hasattr(answer, "send"):
        answer.close()  # a coroutine: else Python warns that it was never awaited
        hint = "; an async status() cannot be asked here: make it a plain method"
    else:
        hint = ""
    names = ", ".join(status.name for status in JobStatus)
    whose = "" if job is None else f" of {job!r}"
    raise InvalidStatusError(f"status(){whose} returned {answer!r}, which is none of {names}{hint}")


def backoff(failures: int, *, ceiling: float) -> float:
    """Seconds to wait after this many failures in a row: 0.1, doubled each time, up to a ceiling."""
    return float(min(0.1 * 2 ** min(failures - 1, 20), ceiling))
