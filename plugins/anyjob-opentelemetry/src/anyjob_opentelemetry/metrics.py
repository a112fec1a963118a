"""The metrics of jobs, by backend and kind of work. Times are in seconds."""

from __future__ import annotations

import functools
from typing import Any

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import Counter, Histogram

from anyjob import Outcome
from anyjob_opentelemetry import semconv
from anyjob_opentelemetry.semconv import Times

SUBMITTED = "anyjob.job.submitted"
DURATION = "anyjob.job.duration"
QUEUED = "anyjob.job.queue.duration"
RUN = "anyjob.job.run.duration"
BOUNDARIES = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400, 604800)
"""From a call in a thread to a week in a queue."""


def count_submitted(job: Any) -> None:
    """Count a job that its engine has taken."""
    _submitted().add(1, semconv.job_attributes(job))


def record_end(job: Any, outcome: Outcome, times: Times, context: Context) -> None:
    """Record how long a job that has ended took, with the trace it is in as an exemplar."""
    attributes = {**semconv.job_attributes(job), **semconv.end_attributes(outcome)}
    _duration(DURATION).record(times.finished - times.submitted, attributes, context)
    if times.started is not None:
        _duration(QUEUED).record(times.started - times.submitted, attributes, context)
        _duration(RUN).record(times.finished - times.started, attributes, context)


_DESCRIPTIONS = {
    DURATION: "from the submission of a job to its end",
    QUEUED: "from the submission of a job to its start",
    RUN: "from the start of a job to its end",
}


@functools.cache
def _submitted() -> Counter:
    return _meter().create_counter(SUBMITTED, "{job}", "jobs that a backend has taken")


@functools.cache
def _duration(name: str) -> Histogram:
    return _meter().create_histogram(
        name, "s", _DESCRIPTIONS[name], explicit_bucket_boundaries_advisory=BOUNDARIES
    )


def _meter() -> metrics.Meter:
    return metrics.get_meter("anyjob_opentelemetry")
