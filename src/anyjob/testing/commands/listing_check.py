"""Whether the listing of a batch scheduler has a job that runs: for a while, its files would hide that."""

from __future__ import annotations

import time
from typing import Any

from anyjob.batch.backend import BatchBackend
from anyjob.batch.queue import user_name
from anyjob.batch.script import job_id_in_name
from anyjob.errors import AnyjobError
from anyjob.specs import Command
from anyjob.status import JobStatus
from anyjob.testing.live import NAME, TAG

PAUSE = 0.5
"""Seconds between two listings."""


def wrong_with_listing(backend: BatchBackend, timeout: float, submitted: list[Any]) -> str:
    """Run a job, and look for it in the listing while it runs; it is cancelled then.

    Args:
        backend: what is checked.
        timeout: seconds that it may take to be listed as running.
        submitted: where to put the job as soon as it is submitted.

    Returns:
        what is wrong; empty where nothing is.
    """
    try:
        job = backend.run(Command(["sleep", str(int(10 * timeout))]), name=NAME, tags={TAG: "listing"})
        submitted.append(job)
        try:
            return _missing(backend, job, timeout)
        finally:
            job.cancel()
    except AnyjobError as error:
        return str(error)


def _missing(backend: BatchBackend, job: Any, timeout: float) -> str:
    deadline = time.monotonic() + timeout
    command = f"`{' '.join(backend.words.listing(user_name()))}`"
    said = "has not been asked"
    while time.monotonic() < deadline:
        has_started = backend.job_directory(job.job_id()).exists()  # its node makes it
        row = backend.listed(job.native_id()) if job.native_id() else None
        if row is not None and row.name and job_id_in_name(row.name) != job.job_id():
            return (
                f"{command} calls job {job.native_id()} {row.name!r}, and not by the name that it was "
                "submitted with: it is not known as ours"
            )
        if row is not None and row.status is JobStatus.RUNNING:
            return ""
        if job.in_final_state():
            return f"a job that was to be looked for in {command} has ended: {job.outcome().message}"
        if row is not None:
            said = f"tells that job {job.native_id()} is {row.status.name}: {row.message}".rstrip(": ")
        elif has_started:
            return (
                f"{command} has no job {job.native_id()}, which runs, as far as what it prints is "
                "understood: jobs that wait for long would be lost"
            )
        time.sleep(PAUSE)
    return f"{command} {said}, after {timeout:g} s"
