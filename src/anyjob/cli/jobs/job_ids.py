"""Ids of jobs as people write and read them: abbreviated as git's are."""

from __future__ import annotations

from collections.abc import Iterable

from anyjob.cli.jobs.columns import work
from anyjob.errors import JobNotFoundError
from anyjob.ledger.reading.designation import SHORTEST, meant, probably_meant
from anyjob.ledger.rows import Row, Summary
from anyjob.ledger.store import Ledger
from anyjob.text.amounts import age
from anyjob.text.printable import printable, shortened

MOST_CANDIDATES = 20
"""Jobs that a message lists, where an abbreviation fits several."""
MOST_WORK = 60
"""Characters of the work of each."""


def full_id(ledger: Ledger, text: str, *, one_of_many: bool = False) -> str:
    """Return the one id that begins so; or that of the job which its backend knows by this id; or its name's.

    Args:
        ledger: where it is.
        text: what was given.
        one_of_many: whether the command takes several jobs, and filters.

    Raises:
        JobNotFoundError: there is none, or there are several; the message lists these.
    """
    found = meant(ledger, text.strip(), MOST_CANDIDATES + 1)
    if len(found) == 1:
        return found[0]
    if not found:
        near = probably_meant(ledger, text)
        hint = f"; did you mean {near!r}?" if near else ": `anyjob jobs` lists them"
        raise JobNotFoundError(f"no job {text!r} is in the ledger {ledger.path}{hint}")
    rows = sorted(ledger.rows(found[:MOST_CANDIDATES]).values(), key=lambda row: row.n)
    summaries = ledger.summaries([row.job_id for row in rows])
    lines = [_candidate(row, summaries.get(row.job_id, Summary())) for row in rows]
    more = ["  …"] if len(found) > MOST_CANDIDATES else []
    way = ""
    if one_of_many and any(row.name == text for row in rows):
        from shlex import quote

        way = f", or --name {quote(text)} for all of that name"
    raise JobNotFoundError("\n".join([f"{text!r} fits several jobs: give the id of one{way}", *lines, *more]))


def _candidate(row: Row, summary: Summary) -> str:
    """Return a line of a job that may be meant: those of a sweep have a name, and differ in their work."""
    where = f"{row.name or row.kind} on {row.label}, {age(row.submitted)} ago"
    what = printable(shortened(work(summary), MOST_WORK))
    return f"  {row.job_id}  {row.status.name:<9}  {where}{f': {what}' if what else ''}"


def abbreviations(ledger: Ledger, job_ids: Iterable[str]) -> dict[str, str]:
    """Return for each id the shortest beginning that no other job's id has, of some length at least."""
    return {job_id: _abbreviated(ledger, job_id) for job_id in job_ids}


def _abbreviated(ledger: Ledger, job_id: str) -> str:
    for length in range(SHORTEST, len(job_id)):
        if len(ledger.by_prefix(job_id[:length], 2)) < 2:
            return job_id[:length]
    return job_id
