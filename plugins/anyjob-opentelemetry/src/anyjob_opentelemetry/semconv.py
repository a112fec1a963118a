"""The attributes of a job, by OpenTelemetry's semantic conventions where these have a name, and its times."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from anyjob import AnyjobError, JobStatus, Outcome
from anyjob.sdk import kind_of

Attributes = dict[str, str | int]
BACKEND_NAME = "anyjob.backend.name"
BACKEND_TYPE = "anyjob.backend.type"
JOB_ID = "anyjob.job.id"
KIND = "anyjob.job.kind"
NAME = "anyjob.job.name"
STATE = "anyjob.job.state"
ERROR_TYPE = "error.type"
PLAIN, UNKNOWN = "plain", "unknown"


class Times(NamedTuple):
    """When a job was submitted, started and ended, in seconds since 1970; ``started`` None: it never did."""

    submitted: float
    started: float | None
    finished: float


def backend_attributes(backend: Any, kind: str) -> Attributes:
    """Return the attributes of low cardinality, which metrics may have, too."""
    type_name = getattr(backend, "type_name", "") or type(backend).__name__
    return {BACKEND_NAME: backend.name(), BACKEND_TYPE: type_name, KIND: kind}


def job_attributes(job: Any) -> Attributes:
    """The same, of a job."""
    return backend_attributes(job.backend(), kind_of_job(job))


def kind_of_spec(spec: Any) -> str:
    """Return the kind of work; ``plain`` where it is that of a plain backend."""
    try:
        return kind_of(spec)
    except AnyjobError:
        return PLAIN


def kind_of_job(job: Any) -> str:
    """The same, of a job, without reading its work."""
    if not hasattr(job, "notes"):
        return PLAIN
    spec_type = getattr(type(job), "spec_type", None)
    return UNKNOWN if spec_type is None else kind_of(spec_type)


def end_attributes(outcome: Outcome) -> Attributes:
    """Return how a job has ended; of low cardinality, too."""
    attributes: Attributes = {STATE: outcome.status.name}
    if outcome.status is JobStatus.ERROR:
        attributes[ERROR_TYPE] = outcome.reason or "_OTHER"
    return attributes


def detail_attributes(job: Any, outcome: Outcome) -> Attributes:
    """Return the attributes of high cardinality, which are for spans only."""
    native_id = job.native_id() if hasattr(job, "native_id") else None
    found = {
        JOB_ID: job.job_id(),
        "anyjob.job.native_id": native_id,
        "anyjob.job.attempt": outcome.attempt,
        "anyjob.job.host": outcome.host or None,
        "anyjob.job.peak_memory": outcome.peak_memory,
        "process.exit.code": outcome.exit_code,
    }
    return {name: value for name, value in found.items() if value is not None}


def times_of(job: Any, outcome: Outcome, submitted: float | None) -> Times:
    """Return the times of a job, in order, whatever the clocks of several hosts say.

    Args:
        job: the job.
        outcome: what came of it.
        submitted: when it was submitted, where its notes say so.
    """
    if submitted is None:
        submitted = _submitted(job)
    finished = time.time() if outcome.finished is None else outcome.finished
    started = outcome.started
    if submitted is None:
        submitted = finished if started is None else started
    finished = max(finished, submitted)
    if started is not None:
        started = min(max(started, submitted), finished)
    return Times(submitted, started, finished)


def _submitted(job: Any) -> float | None:
    try:
        submitted: float | None = job.metadata()["submitted"]
    except (AttributeError, AnyjobError):  # a plain job, or one that somebody else submitted
        return None
    return submitted
