"""Finds the submissions that jobs are of, by the lists of those."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from anyjob.batch.dialect import Dialect
from anyjob.batch.files.claims import NOBODY, claimed_by
from anyjob.batch.files.membership import Membership, members


def memberships(root: Path, job_ids: Iterable[str], dialect: Dialect) -> dict[str, Membership]:
    """Return which submissions jobs are of; one that was renounced counts where there is no other.

    Most submissions are called by their first job, so that the others need not be looked at.

    Args:
        root: below what submissions are.
        job_ids: the jobs; those that are of none are left out.
        dialect: that of the scheduler.
    """
    missing = dict.fromkeys(job_ids)
    found: dict[str, Membership] = {}
    renounced: dict[str, Membership] = {}

    def look_into(name: str) -> None:
        for job_id, member in members(root / "submissions" / name, missing):
            if claimed_by(member, dialect) == NOBODY:
                renounced[job_id] = member
            else:
                found[job_id] = member
                del missing[job_id]

    for job_id in list(missing):
        if job_id in missing:
            look_into(job_id)
    if missing:
        try:
            names = os.listdir(root / "submissions")
        except OSError:
            names = []
        for name in names:
            look_into(name)
    return {**renounced, **found}
