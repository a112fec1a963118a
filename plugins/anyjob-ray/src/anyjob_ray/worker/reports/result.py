"""Pickles what came of a job, with large buffers of its value out of band: Ray takes them as they are."""

from __future__ import annotations

import pickle
from typing import Any

from anyjob.sdk import runner
from anyjob_ray.worker.job import Job
from anyjob_ray.worker.reports.output import written_by

# The functions, and not the module: it is they that are sent along.
dumps, pickled = runner.dumps, runner.pickled
names_sent_along, dumps_by_value = runner.names_sent_along, runner.dumps_by_value
leaving_out_bytes = runner.leaving_out_bytes
LARGE = 256 * 1024
"""Bytes from which the buffers of a value go by the object store, out of band."""


def pickle_outcome(job: Job, outcome: dict[str, Any]) -> Any:
    """Pickle what came of a job.

    Returns:
        The pickle; or, if that is large, a tuple of it and of the buffers of the value.
    """
    outcome["written"] = written_by(job)
    buffers: list[Any] = []
    if outcome["status"] == "DONE" and job.kind != "command":
        try:
            value = outcome["value"]
            outcome["value"], buffers = (
                dump_out_of_band(value) if job.context.out_of_band else (dumps(value), [])
            )
        except Exception:
            outcome = pickled(outcome)  # which says what is wrong with it
    blob = pickle.dumps(outcome, 5)
    return (blob, *buffers) if buffers or len(blob) > LARGE else blob


def dump_out_of_band(value: Any) -> tuple[bytes, list[Any]]:
    """Pickle a value, with its buffers out of band where they are large (PEP 574)."""
    buffers: list[Any] = []
    value = leaving_out_bytes(value, LARGE)
    try:
        blob = pickle.dumps(value, 5, buffer_callback=buffers.append)
    except Exception:  # whatever a class makes of it: it is pickled with more below
        blob = None
    if blob is None or names_sent_along(blob):
        buffers.clear()
        blob = dumps_by_value(value, buffers.append)
    if buffers and sum(buffer.raw().nbytes for buffer in buffers) < LARGE:
        return dumps(value), []
    return blob, buffers
