"""Makes a report of jobs that are in the ledger, and keeps it in a file."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from anyjob.errors import StateError
from anyjob.ledger.reading.reader import LedgerReader
from anyjob.ledger.rows import Row
from anyjob.text.full_disk import explain, is_full, way_out
from anyjob.views import queries
from anyjob.views.last_words import last_words
from anyjob.views.report.page import Report
from anyjob.views.reported_job import ReportedJob


def make_report(
    ledger: LedgerReader,
    rows: Sequence[Row],
    title: str,
    *,
    jobs: Sequence[ReportedJob] | None = None,
    more: bool = False,
) -> Report:
    """Return a report, with the graph of its jobs, and the last that some of them wrote.

    Args:
        ledger: where the jobs are.
        rows: of them.
        title: of the page.
        jobs: the same, where they have been read already.
        more: whether there are older ones, which are left out.
    """
    told = queries.reported(ledger, rows) if jobs is None else jobs
    words, nodes = last_words(ledger, rows, told), queries.graph_of(ledger, rows)
    return Report(title, told, time.time(), words, nodes, more)


def keep(path: str, text: str) -> None:
    """Write a file, all of it or nothing; a link leads to the file that is written.

    Raises:
        StateError: it cannot be written.
    """
    target = Path(path)
    is_stream = target.exists() and not target.is_file() and not target.is_dir()  # /dev/stdout, or a pipe
    beside = target if is_stream else Path(f"{os.path.realpath(path)}.{os.getpid()}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        if not is_stream:
            beside.replace(os.path.realpath(path))
    except OSError as error:
        if not is_stream:
            beside.unlink(missing_ok=True)
        if Path(path).is_dir():
            raise StateError(f"cannot write {path}: that is a directory: name a file") from error
        help_ = way_out(error) if is_full(error) else "name a file in a directory of yours"
        raise StateError(f"cannot write {path}: {explain(error)}: {help_}") from error
