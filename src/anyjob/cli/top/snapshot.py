"""What ``anyjob top`` shows, read of the ledger: a page of jobs, however many there are."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from anyjob.cli.top.view import View
from anyjob.ledger.rows import Row
from anyjob.session.facade import Session
from anyjob.status import JOB_FINAL_STATES, JobStatus
from anyjob.views import log_tails, queries
from anyjob.views.details.facts_of import collect
from anyjob.views.details.refresh import refresh
from anyjob.views.explanation.explain import explain
from anyjob.views.live.loads import Load, loads
from anyjob.views.reported_job import ReportedJob

PAGE = 200
"""Jobs that are read at a time: the newest that fit."""
LINES = 4
_OPEN = tuple(status for status in JobStatus if status not in JOB_FINAL_STATES)
_STATES = {"open": _OPEN, "running": (JobStatus.RUNNING,), "failed": (JobStatus.ERROR,)}


class Closely(NamedTuple):
    """What is shown of the job that is selected: why it is where it is, and the last that it wrote."""

    headline: str
    why: Sequence[str]
    log: Sequence[str]


class Snapshot(NamedTuple):
    """What is shown.

    Args:
        counts: how many jobs of the ledger are in each state.
        jobs: those that are listed, in the order that was wished for.
        loads: what the backends are busy with that have open jobs.
        closely: what is known of the selected job, by its id.
        when: when it was read.
    """

    counts: Mapping[str, int]
    jobs: Sequence[ReportedJob]
    loads: Sequence[Load]
    closely: Mapping[str, Closely]
    when: float


def read(session: Session, view: View, *, ask: bool) -> Snapshot:
    """Return what is to be shown; with ``ask``, backends are asked about the open jobs among it before."""
    ledger = session.ledger
    rows = (
        ledger.select(states=_STATES.get(view.filter), limit=PAGE, superseded=False) if ledger.exists else []
    )
    if ask:
        rows = refresh(session, ledger, rows)
    jobs = order([job for job in queries.reported(ledger, rows) if fits(job, view.search)], view.sort)
    chosen = view.selected or (jobs[0].job_id if jobs else "")
    by_id = {row.job_id: row for row in rows}
    closely = {chosen: look(session, by_id[chosen])} if chosen in by_id else {}
    counts = ledger.counts() if ledger.exists else {}
    return Snapshot(counts, jobs, loads(session), closely, time.time())


def fits(job: ReportedJob, search: str) -> bool:
    """Tell whether a job has all words of a search."""
    text = "\n".join((job.job_id, job.name, job.state, job.reason, job.backend, job.host, job.work)).lower()
    return all(word in text for word in search.lower().split())


def order(jobs: Sequence[ReportedJob], sort: str) -> list[ReportedJob]:
    """Return jobs, which come oldest first, in another order."""
    if sort == "oldest":
        return list(jobs)
    newest = list(reversed(jobs))
    if sort == "name":
        return sorted(newest, key=lambda job: job.name)
    if sort == "state":
        ranks = {name: rank for rank, name in enumerate(("RUNNING", "QUEUED", "ERROR", "CANCELLED", "DONE"))}
        return sorted(newest, key=lambda job: ranks.get(job.state, -1))
    return newest


def look(session: Session, row: Row) -> Closely:
    """Return what is to be shown of the selected job."""
    facts = collect(session, row)
    told = explain(facts)
    tails = log_tails.of_spool(Path(facts.found["spool"]), LINES) if facts.found["spool"] else {}
    return Closely(told.headline, told.why[:3], tails.get("stderr") or tails.get("stdout") or ())
