"""Why a job does not run yet: told once by what waits where there is no terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from anyjob.cli.terminal.output import is_terminal, print_message
from anyjob.status import JobStatus
from anyjob.taskjob import TaskJob

PATIENCE = 3.0
"""Seconds of waiting after which a pipe or a log is told why nothing happens."""


@contextmanager
def explained_wait(jobs: Sequence[Any]) -> Iterator[None]:
    """While it is entered, say once why none of these jobs runs, where no terminal shows where they are."""
    if is_terminal(sys.stderr):
        yield
        return
    timer = threading.Timer(PATIENCE, _say_why, [jobs])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say_why(jobs: Sequence[Any]) -> None:
    from anyjob.views.details.queue_place import queue_place

    with suppress(Exception):  # who waits hears of what goes wrong; this is but a word about it
        states = [job.status() for job in jobs]
        if any(state not in (JobStatus.QUEUED, JobStatus.INITIALIZING) for state in states):
            return
        first = jobs[0]
        position, why = queue_place(first) if isinstance(first, TaskJob) else (None, "")
        told = [f"{states[0].name} on {first.backend()}"]
        if position is not None:
            told.append(f"position {position}")
        told.append(why or "its engine does not say why")
        many = f"none of {len(jobs)} jobs runs yet; the first, " if len(jobs) > 1 else ""
        print_message(f"{many}job {first.job_id()[:8]}: {', '.join(told)}")
