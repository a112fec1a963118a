"""The last that jobs wrote which failed, one of each kind."""

from __future__ import annotations

from collections.abc import Iterable

from anyjob.ledger.reading.job_directories import directory_of
from anyjob.ledger.reading.reader import LedgerReader
from anyjob.ledger.rows import Row
from anyjob.views import log_tails
from anyjob.views.report.figures import failures
from anyjob.views.reported_job import ReportedJob

LINES = 20


def last_words(
    ledger: LedgerReader, rows: Iterable[Row], jobs: Iterable[ReportedJob]
) -> dict[str, list[str]]:
    """Return the last that one job of each kind of failure wrote, where its directory is seen from here."""
    by_id = {row.job_id: row for row in rows}
    found = {}
    for failure in failures(jobs):
        job = failure.jobs[-1]
        tails = log_tails.of_spool(directory_of(ledger, by_id[job.job_id]), LINES)
        if words := tails.get("stderr") or tails.get("stdout"):
            found[job.job_id] = words
    return found
