"""What the ledger knows of jobs that have not ended is brought up to date, by asking their backends."""

from __future__ import annotations

from anyjob.ledger.rows import FINAL, Row
from anyjob.ledger.store import Ledger
from anyjob.session.facade import Session


def refresh(session: Session, ledger: Ledger, rows: list[Row]) -> list[Row]:
    """Have engines asked about those jobs that have not ended; what cannot be asked is left as it is."""
    unfinished = [row for row in rows if row.state < FINAL]
    if not unfinished:
        return rows
    from anyjob.ledger.identity import HOST  # of use only where backends are asked, as msgspec is
    from anyjob.session.jobs.finder import JobFinder

    here = {
        number
        for number in {row.backend for row in unfinished}
        if ledger.backend_row(number).host in ("", HOST)
    }
    to_ask = [row for row in unfinished if row.backend in here]
    if not to_ask:
        return rows
    JobFinder(session).refresh(to_ask)
    now = ledger.rows([row.job_id for row in rows])
    return [now.get(row.job_id, row) for row in rows]
