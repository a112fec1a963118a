"""What the ledger knows of jobs that have not ended is brought up to date, by asking their backends."""

from __future__ import annotations

from typing import Any

from anyjob.cli.jobs.selection import OPEN
from anyjob.cli.output import print_message
from anyjob.errors import AnyjobError
from anyjob.ledger.rows import FINAL, Row
from anyjob.ledger.store import Ledger
from anyjob.session.facade import Session


def refresh(session: Session, ledger: Ledger, rows: list[Row]) -> list[Row]:
    """Have engines asked about those jobs that have not ended; what cannot be asked is left as it is."""
    unfinished = {row.backend: row for row in rows if row.state < FINAL}
    if not unfinished:
        return rows
    from anyjob.ledger.identity import HOST  # of use only where backends are asked, as msgspec is

    here = ("", HOST)
    to_ask = [row for number, row in unfinished.items() if ledger.backend_row(number).host in here]
    for row in to_ask:
        try:
            _query(session, row)
        except AnyjobError as error:
            print_message(f"warning: not up to date: {error}")
    if not to_ask:
        return rows
    now = ledger.rows([row.job_id for row in rows])
    return [now.get(row.job_id, row) for row in rows]


def _query(session: Session, row: Row) -> None:
    """Ask the backend of a job about all of its jobs that have not ended, at once."""
    backend = session.get_job(row.job_id).backend()
    if keep_queue(backend):
        return  # what there is to know is in the ledger now
    # Handles first, questions second: the first question is about all of them.
    for job in [job for job in session.jobs(state=OPEN, backend=row.label) if job.backend() is backend]:
        job.status()


def keep_queue(backend: Any) -> bool:
    """See to it that somebody keeps a backend's queue, where that is in the ledger; return whether it is.

    Who begins to keep it, after a reboot say, looks first at what has become of its jobs.
    """
    if not getattr(backend, "queues_in_ledger", False):
        return False
    for _ in backend.launch([]):
        pass
    return True
