"""Translates statuses of jobs of Qiskit's providers, and what else these tell, into anyjob's."""

from __future__ import annotations

from enum import Enum
from typing import Any

from anyjob import InvalidStatusError, JobStatus
from anyjob.sdk import as_status

STATUS_NAMES = {
    "CREATING": JobStatus.INITIALIZING,
    "CREATED": JobStatus.INITIALIZING,
    "SUBMITTED": JobStatus.QUEUED,
    "PENDING": JobStatus.QUEUED,
    "WAITING": JobStatus.QUEUED,
    "READY": JobStatus.QUEUED,
    "TRANSPILING": JobStatus.VALIDATING,
    "EXECUTING": JobStatus.RUNNING,
    "POST_PROCESSING": JobStatus.RUNNING,
    "COMPLETED": JobStatus.DONE,
    "SUCCEEDED": JobStatus.DONE,
    "FINISHED": JobStatus.DONE,
    "CANCELED": JobStatus.CANCELLED,
    "ABORTED": JobStatus.CANCELLED,
    "FAILED": JobStatus.ERROR,
}
"""Names beside those of `JobStatus` that providers have for a status."""
TOO_LONG = "CANCELLED - RAN TOO LONG"
"""What IBM's service says of a job that it has ended for its length."""


def status_of(answer: object, job: object = None) -> JobStatus:
    """Take what a job's ``status()`` returned, an enum or a text, as a `JobStatus`.

    Raises:
        InvalidStatusError: it is neither, or a word that is not known: to go on asking would be to wait
            for ever (qiskit-ibm-runtime#2673).
    """
    try:
        return as_status(answer, job)
    except InvalidStatusError:
        text = answer.name if isinstance(answer, Enum) else answer
        if not isinstance(text, str):
            raise
        word = text.upper().replace(" ", "_")
        found = JobStatus.ERROR if text.upper() == TOO_LONG else STATUS_NAMES.get(word)
        if found is None and word in JobStatus.__members__:
            found = JobStatus[word]
        if found is None:
            raise
        return found


def reason_of(answer: object) -> str:
    """Return the reason of a failure that a status tells of."""
    return "walltime" if isinstance(answer, str) and answer.upper() == TOO_LONG else "exception"


def message_of(job: Any) -> str:
    """Return why a job has failed, in the words of its provider; empty where it has none.

    Some tell it by ``error_message()``, some only by their result, or by what that raises.
    """
    ask = getattr(job, "error_message", None)
    try:
        found = ask() if callable(ask) else None
    except Exception:  # it is about a failure, and must not be one
        found = None
    if found:
        return str(found)
    try:
        result = job.result()
    except Exception as error:  # whatever the job has failed with: its words are what is asked for
        return str(error) or type(error).__name__
    failed = [each for each in getattr(result, "results", ()) if not getattr(each, "success", True)]
    told = [str(getattr(each, "status", "") or "") for each in (result, *failed)]
    return "; ".join(filter(None, dict.fromkeys(told)))


def position_of(job: Any) -> int | None:
    """Return how many jobs are before this one; None where its provider does not tell.

    ASKED: some have no ``queue_position`` (qiskit-metapackage#1458).
    """
    ask = getattr(job, "queue_position", None)
    try:
        found = ask() if callable(ask) else ask
    except Exception:  # it is told beside the status, and must not hide that
        return None
    return found if isinstance(found, int) else None


def accepts_cancel(job: Any) -> bool:
    """Ask a job to end; return whether that was accepted.

    Providers say so by True or False, by nothing (accepted), or by an exception (refused).

    Raises:
        Exception: what the job raises when its provider cannot be reached.
    """
    from anyjob_qiskit.devices.provider_errors import is_unreachable

    try:
        answer = job.cancel()
    except Exception as error:
        if is_unreachable(error):
            raise
        return False
    return answer is None or bool(answer)
