"""A job file that is run again on a durable backend goes on where it was left off.

What makes a job of a file the same one as before: it comes from the same file (its path) and the same step
of it, and its work is the same, as `once=` has it. Name, tags, resources, options and backend make no
difference. Where a file has the same work several times, there are as many of them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from anyjob.cli.jobs.operations import submit
from anyjob.cli.run.sweeps.report import SweepRow
from anyjob.errors import SerializationError
from anyjob.jobfile.reader import JobFile
from anyjob.resources import make_resources
from anyjob.runtime.once import Jobs, Once
from anyjob.runtime.run_keywords import take_limit, take_prerequisites
from anyjob.runtime.submission.submit import submit as submit_specs
from anyjob.serialization.pickling import with_item_number
from anyjob.specs import Spec
from anyjob.taskbackend import TaskBackend


def once_of(file: JobFile, step: str = "", *, fresh: bool = False) -> Once:
    """Return by what the work of a job file, or of a step of one, is known.

    Args:
        file: the file.
        step: the step's name.
        fresh: nothing counts that was submitted before.
    """
    return Once(f"anyjob run {os.path.realpath(file.path)}\0{step}", anew=fresh, counted=True)


def hand_over(
    backend: Any, specs: Sequence[Spec], rows: Sequence[SweepRow], resources: dict[str, Any], once: Once
) -> Jobs:
    """Return the jobs of a file: those that there are, and those that are handed over now.

    Args:
        backend: what they are handed to; one that is not durable knows nothing of before.
        specs: the work.
        rows: the rows that tell of them.
        resources: what each needs, and what it starts after.
        once: by what it is known.
    """
    specs = list(specs)
    if not isinstance(backend, TaskBackend):
        return Jobs(submit(backend, specs, resources))
    resources = dict(resources)
    take_limit(backend, resources)
    after = take_prerequisites(backend, resources, len(specs))
    made, values = make_resources(resources), [row.parameters for row in rows]
    try:
        if backend.capabilities.durable:
            return once.run(backend, specs, [made] * len(specs), after=after, parameters=values)
        return Jobs(submit_specs(backend, specs, made, parameters=values, after=after))
    except SerializationError as error:
        raise with_item_number(error, specs) from error.__cause__


def summary(jobs: Jobs) -> str:
    """Return how many were done before, go on, and are new, for a person; empty where all are new."""
    before = len(jobs.done) + len(jobs.joined)
    if not before:
        return ""
    new = len(jobs.jobs) - before
    return f"{len(jobs.done)} done before, {len(jobs.joined)} still queued or running, {new} new"
