"""Ids of jobs as people write and read them: abbreviated as git's are."""

from __future__ import annotations

from collections.abc import Iterable

from anyjob.errors import JobNotFoundError
from anyjob.ledger.reading.designation import SHORTEST, meant
from anyjob.ledger.store import Ledger
from anyjob.text.amounts import age

MOST_CANDIDATES = 20
"""Jobs that a message lists, where an abbreviation fits several."""


def full_id(ledger: Ledger, text: str) -> str:
    """Return the one id that begins so; or that of the job which its backend knows by this id; or its name's.

    Raises:
        JobNotFoundError: there is none, or there are several; the message lists these.
    """
    found = meant(ledger, text.strip(), MOST_CANDIDATES + 1)
    if len(found) == 1:
        return found[0]
    if not found:
        raise JobNotFoundError(f"no job {text!r} is in the ledger {ledger.path}: `anyjob jobs` lists them")
    rows = sorted(ledger.rows(found[:MOST_CANDIDATES]).values(), key=lambda row: row.n)
    lines = [
        f"  {row.job_id}  {row.status.name:<12}  {row.name or row.kind}, {age(row.submitted)} ago"
        for row in rows
    ]
    more = ["  …"] if len(found) > MOST_CANDIDATES else []
    raise JobNotFoundError("\n".join([f"{text!r} fits several jobs: give the id of one", *lines, *more]))


def abbreviations(ledger: Ledger, job_ids: Iterable[str]) -> dict[str, str]:
    """Return for each id the shortest beginning that no other job's id has, of some length at least."""
    return {job_id: _abbreviated(ledger, job_id) for job_id in job_ids}


def _abbreviated(ledger: Ledger, job_id: str) -> str:
    for length in range(SHORTEST, len(job_id)):
        if len(ledger.by_prefix(job_id[:length], 2)) < 2:
            return job_id[:length]
    return job_id
