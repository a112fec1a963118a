"""Where jobs of the ledger have their directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyjob.outputs.attempt_files import attempt_id
from anyjob.spool import job_spool

if TYPE_CHECKING:
    from pathlib import Path

    from anyjob.ledger.reading.reader import LedgerReader
    from anyjob.ledger.rows import BackendRow, Row


def directory_of(ledger: LedgerReader, row: Row, backend: BackendRow | None = None) -> Path:
    """Return the directory that the last attempt of a job has, if it has one that is seen from here.

    An engine that is not of our own making is given each attempt under an id of its own, with its directory.

    Args:
        ledger: where the job is.
        row: what is known of it.
        backend: what is known of its backend, where that was read.
    """
    known = backend or ledger.backend_row(row.backend)
    root = job_spool.root(ledger.state, known.own_options.get("spool"))
    launched = 1 if known.host else ledger.attempts.launched_attempts([row]).get(row.job_id, 1)
    return job_spool.path_of(root, row.job_id if launched == 1 else attempt_id(row.job_id, launched))
