"""What is known of one job, as plain data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from anyjob.ledger.dependencies import CONDITIONS
from anyjob.ledger.encoding import decode_resources, outcome_of
from anyjob.ledger.reading.job_directories import directory_of
from anyjob.ledger.rows import FINAL, BackendRow, Row, Summary
from anyjob.outcome import USAGE, Attempt
from anyjob.outputs.attempt_files import attempts_of, logs_of_attempt, logs_of_launches
from anyjob.resources import Resources
from anyjob.session.backends.plain_job import KIND as PLAIN
from anyjob.session.facade import Session
from anyjob.spool import job_spool, progress_report
from anyjob.views.details.queue_place import SAID, queue_place
from anyjob.views.details.row_data import row_data


def describe(session: Session, row: Row) -> dict[str, Any]:
    """Return all that is known of a job but its spec; sizes in bytes, times in seconds."""
    ledger = session.ledger
    context, _, _ = ledger.bulk(row.bulk)
    known = ledger.backend_row(row.backend)
    outcome = outcome_of(row)
    work = ledger.summaries([row.job_id])
    directory = directory_of(ledger, row, known)
    found = {
        **row_data(
            row, ledger.tags(row.bulk), work.get(row.job_id, Summary()), outcome.message, context.parent
        ),
        "route": list(context.route),
        "resources": requested(decode_resources(context.resources)),
        "cwd": os.fsdecode(context.cwd) or None,
        "python": context.python,
        "backend_type": known.type,
        "backend_provider": known.account or None,
        "backend_distribution": known.distribution,
        "backend_options": known.options,
        "backend_host": known.host or None,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "host": outcome.host or None,
        **{name: getattr(outcome, name) for name in USAGE},
        "traceback": outcome.traceback,
        "spool": str(directory) if directory.is_dir() else None,
        "progress": said._asdict() if (said := progress_report.read(directory)) else None,
        "attempts": [
            {**msgspec.to_builtins(each), "status": each.status.name}
            for each in _attempts(session, row, known, directory)
        ],
        "queue_position": None,
        "cost": outcome.cost,
        "currency": outcome.currency,
        "rerun_of": ledger.rerun_of([row.job_id]).get(row.job_id),
        "superseded_by": ledger.superseded_by([row.job_id]).get(row.job_id),
        "notes": ledger.notes(row.job_id),
        "prerequisites": [
            {**one._asdict(), "condition": CONDITIONS[one.condition], "status": one.status.name}
            for one in ledger.dependencies.prerequisites(row.job_id)
        ],
    }
    if row.state < FINAL:
        found |= pending(session, row)
    return found


def _attempts(session: Session, row: Row, known: BackendRow, directory: Path) -> list[Attempt]:
    """Return the attempts of a job that has had several; nothing of one that has had one."""
    if row.attempt == 1:
        return []
    before = [(each.attempt, each.kind, each.outcome) for each in session.ledger.attempts.ended(row.job_id)]
    last = outcome_of(row) if row.state >= FINAL else None
    root = job_spool.root(session.ledger.state, known.own_options.get("spool"))

    def logs_of(attempt: int) -> dict[str, str]:
        if known.host:
            return logs_of_attempt(directory, attempt)
        return logs_of_launches(root, row.job_id, before, attempt)

    return attempts_of(before, last, row.attempt, row.status, row.started, logs_of)


def requested(resources: Resources) -> dict[str, Any]:
    """Return what of resources was asked for, less the name and tags."""
    values = msgspec.structs.asdict(resources)
    default = msgspec.structs.asdict(Resources())
    asked = {
        key: values[key] for key in values if key not in ("name", "tags") and values[key] != default[key]
    }
    if resources.retries is not None:
        asked["retries"] = msgspec.to_builtins(resources.retries)
    return asked


def pending(session: Session, row: Row) -> dict[str, Any]:
    """Return what a job waits for, as far as that is known."""
    if row.kind == PLAIN:
        return {}
    job = session.get_job(row.job_id)
    position, message = queue_place(job)
    message = SAID.get(row.reason or "", message)
    cost = {"cost": job._record.cost, "currency": job._record.currency}
    return {"queue_position": position, "message": message, **cost}
