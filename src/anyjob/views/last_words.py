"""The last that jobs wrote which failed, one of each kind."""

from __future__ import annotations

from collections.abc import Iterable

from anyjob.ledger.reading.reader import LedgerReader
from anyjob.ledger.rows import Row
from anyjob.spool import job_spool
from anyjob.views import log_tails
from anyjob.views.report.figures import failures
from anyjob.views.reported_job import ReportedJob

LINES = 20


def last_words(
    ledger: LedgerReader, rows: Iterable[Row], jobs: Iterable[ReportedJob]
) -> dict[str, list[str]]:
    """Return the last that one job of each kind of failure wrote, where its directory is seen from here."""
    backends = {row.job_id: row.backend for row in rows}
    found = {}
    for failure in failures(jobs):
        job = failure.jobs[-1]
        known = ledger.backend_row(backends[job.job_id])
        directory = job_spool.path_of(
            job_spool.root(ledger.state, known.own_options.get("spool")), job.job_id
        )
        tails = log_tails.of_spool(directory, LINES)
        if words := tails.get("stderr") or tails.get("stdout"):
            found[job.job_id] = words
    return found
