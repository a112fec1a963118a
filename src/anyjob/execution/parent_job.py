"""The job that what is submitted here belongs to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_is_detached: ContextVar[bool] = ContextVar("_is_detached", default=False)


def parent_job() -> str:
    """Return the id of the job that this process runs for; empty for what is to stand alone."""
    return "" if _is_detached.get() else os.environ.get("ANYJOB_JOB_ID", "")


@contextmanager
def detached() -> Iterator[None]:
    """Have jobs that are submitted within stand alone, though this is a job itself.

    Else a job that is submitted by another belongs to that: it is cancelled with it. By ``run``, ``map`` and
    all else, in this thread or task::

        with anyjob.detached():
            report = backend.run(make_report)
    """
    token = _is_detached.set(True)
    try:
        yield
    finally:
        _is_detached.reset(token)
