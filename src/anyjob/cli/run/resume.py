"""A job file that is run again on a durable backend goes on where it was left off.

What makes a job of a file the same one as before: it comes from the same file (its path), and its work
is the same, which is its kind and every field of its spec, with the contents of the files that go with
it. Its name, tags, resources, options and backend make no difference. Where a file has the same work
several times, there are as many of them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from anyjob.cli.jobs.refresh import refresh
from anyjob.jobfile.reader import JobFile
from anyjob.ledger.rows import FINAL
from anyjob.session.facade import Session
from anyjob.specs import Spec, with_files
from anyjob.status import JobStatus
from anyjob.taskjob import TaskJob

TAG = "anyjob.sweep"
"""The tag that jobs of a file have in the ledger; its value is the path of the file."""


class EarlierJobs(NamedTuple):
    """What earlier runs of a job file have made.

    Attributes:
        jobs: for each piece of work its job; None for one that is to be handed over.
        done: the indices of those that are done.
        open: the indices of those that are queued, or run.
    """

    jobs: list[Any]
    done: frozenset[int] = frozenset()
    open: frozenset[int] = frozenset()

    def summary(self) -> str:
        """Return how many there are of each, for a person."""
        new = self.jobs.count(None)
        return f"{len(self.done)} done before, {len(self.open)} still queued or running, {new} new"


def sweep_tag(file: JobFile) -> str:
    """Return the value of the tag for a job file."""
    return os.path.realpath(file.path)


def find_earlier_jobs(session: Session, file: JobFile, specs: Sequence[Spec]) -> EarlierJobs:
    """Find what earlier runs have left: jobs that are done, and jobs that have not ended.

    Args:
        session: where jobs are looked for.
        file: the job file.
        specs: its work.
    """
    known = {job.job_id(): job for job in session.jobs(tags={TAG: sweep_tag(file)})}
    wanted: dict[str, list[int]] = {}
    for index, spec in enumerate(specs if known else ()):
        wanted.setdefault(work_digest(with_files(spec)), []).append(index)
    found: dict[str, list[tuple[bool, Any]]] = {}
    missing = len(specs)
    for done, job_id in _reusable(session, list(known)):
        if not missing:
            break
        job = known[job_id]
        key = _digest_of(job)
        if len(found.setdefault(key, [])) < len(wanted.get(key, ())):
            found[key].append((done, job))
            missing -= 1
    jobs: list[Any] = [None] * len(specs)
    indices: dict[bool, set[int]] = {True: set(), False: set()}
    for key, some in found.items():
        for index, (done, job) in zip(wanted.get(key, ()), reversed(some), strict=False):
            jobs[index] = job
            indices[done].add(index)
    return EarlierJobs(jobs, frozenset(indices[True]), frozenset(indices[False]))


def _reusable(session: Session, job_ids: list[str]) -> list[tuple[bool, str]]:
    """Those that are done, the newest first, then those that have not ended."""
    if not job_ids:
        return []
    ledger = session.ledger
    rows = refresh(session, ledger, list(ledger.rows(job_ids).values()))
    rows.sort(key=lambda row: row.n, reverse=True)
    done = [(True, row.job_id) for row in rows if row.status is JobStatus.DONE]
    return [*done, *((False, row.job_id) for row in rows if row.state < FINAL)]


def work_digest(spec: Spec) -> str:
    """Return a digest of a piece of work, whose files have their contents."""
    plain = msgspec.to_builtins(spec, str_keys=True, enc_hook=repr)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _digest_of(job: TaskJob) -> str:
    try:
        return work_digest(job.spec())
    except Exception:  # what it was made of is not here any more: it is the same as nothing
        return ""
