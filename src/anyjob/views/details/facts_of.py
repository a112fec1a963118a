"""What explains one job: collected here, told by `anyjob.views.explanation`."""

from __future__ import annotations

import os
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from anyjob.errors import AnyjobError
from anyjob.ledger.reading.reader import LedgerReader
from anyjob.ledger.rows import CANCELLING, HELD, PAUSED, RELEASED, Row
from anyjob.outputs.log_reading import STREAMS
from anyjob.resources import Resources, labels_of, total_cpus
from anyjob.session.backends.plain_job import KIND as PLAIN
from anyjob.session.facade import Session
from anyjob.specs import Command
from anyjob.spool.job_spool import INPUTS, held_input
from anyjob.views import log_tails, queries
from anyjob.views.details.description import describe
from anyjob.views.explanation.facts import Explanation, Facts, Other, limit_of


def collect(session: Session, row: Row) -> Facts:
    """Return what is known of a job that helps to explain it."""
    ledger = session.ledger
    found = describe(session, row)
    told_there = None
    if row.status.name == "QUEUED" and row.native_id:
        told_there = _told_there(session, row)
        if told_there is None and not found["message"]:
            found["message"] = _why_waiting(session, row)
    now = time.time()
    asked = next(queries.resources_of(ledger, [row]))
    settings = ledger.settings(row.backend)
    there = dict(capacity(found["backend_type"], found["backend_options"], settings))
    most: Mapping[str, int] = {**found["backend_options"], **settings}.get("limits") or {}
    there.update({limit_of(label): most[label] for label in labels_of(asked) if there and label in most})
    takes = _takes(asked, there)
    waits = row.status.name == "QUEUED"
    running = queries.running(ledger, row.backend) if waits and there else []
    cause = queries.cause_of(ledger, row)
    return Facts(
        found=found,
        now=now,
        due=queries.due_in(ledger, row, now),
        attempts=None if asked.retries is None else asked.retries.times + 1,
        before=queries.failed_before(ledger, row.job_id),
        is_released=row.state == RELEASED,
        is_held=waits and row.reason == HELD,
        is_paused=row.reason == PAUSED and not waits,
        is_cancelling=row.reason == CANCELLING and not queries.has_ended(row),
        elsewhere=_elsewhere(session, row),
        waits_for=tuple(_awaited(found["prerequisites"])) if waits else (),
        running=tuple(_others(ledger, running, now, there)),
        there=there,
        takes=takes,
        room=_room(session, row, Path(found["spool"])) if waits and there and found["spool"] else (0, 0),
        told_there=told_there,
        alike=queries.alike(ledger, row),
        cause=cause and Other(cause.job_id, cause.name, cause.status.name),
    )


def _told_there(session: Session, row: Row) -> Explanation | None:
    """Have the machine asked that has the job, where it is another one."""
    with suppress(AnyjobError):  # where it is away, what was told last is told
        ask = getattr(session.get_job(row.job_id).backend(), "explained_there", None)
        return None if ask is None else ask(row.job_id)
    return None


def _why_waiting(session: Session, row: Row) -> str:
    """Have its scheduler asked, where it tells more of one job than in its list of all."""
    with suppress(AnyjobError):
        ask = getattr(session.get_job(row.job_id).backend(), "why_waiting", None)
        return "" if ask is None else str(ask(row.native_id))
    return ""


def _room(session: Session, row: Row, spool: Path) -> tuple[int, int]:
    """Return the bytes of the large files that a job's directory is to have copies of, and those free."""
    with suppress(AnyjobError, OSError):
        work = session.get_job(row.job_id).spec() if (spool / INPUTS).is_dir() else None
        files = work.files.values() if isinstance(work, Command) else ()
        needed = sum(held_input(spool, file.sha256).stat().st_size for file in files if file.sha256)
        disk = os.statvfs(spool)
        return needed, disk.f_bavail * disk.f_frsize
    return 0, 0


def _elsewhere(session: Session, row: Row) -> str:
    if queries.has_ended(row) or row.kind == PLAIN:
        return ""
    with suppress(AnyjobError):  # what its backend knows is told as far as it can be
        return str(session.get_job(row.job_id).backend().other_host or "")
    return ""


def capacity(type_name: str, known: Mapping[str, Any], settings: Mapping[str, Any]) -> Mapping[str, int]:
    """Return how much a backend of this machine has for its jobs; of an engine only that knows.

    Args:
        type_name: its type.
        known: the options that it was given.
        settings: what was set for the backend while it was in use.
    """
    if type_name != "local":
        return {}
    import msgspec

    from anyjob.builtin.local.machine.totals import totals
    from anyjob.builtin.local.options import LocalOptions

    options = msgspec.structs.asdict(msgspec.convert(known, LocalOptions))
    return totals({**options, **settings})


def _takes(resources: Resources, there: Container[str]) -> dict[str, float]:
    takes: dict[str, float] = {"cpus": total_cpus(resources), **resources.needs}
    takes.update({name: 1 for label in labels_of(resources) if (name := limit_of(label)) in there})
    for name in ("memory", "gpus"):
        if (value := getattr(resources, name)) is not None:
            takes[name] = value
    return takes


def _awaited(prerequisites: Iterable[Mapping[str, str]]) -> Iterator[Other]:
    for one in prerequisites:
        if one["status"] not in ("DONE", "ERROR", "CANCELLED"):
            yield Other(one["job_id"], one["name"], one["status"])


def _others(ledger: LedgerReader, rows: list[Row], now: float, there: Container[str]) -> Iterator[Other]:
    for other, resources in zip(rows, queries.resources_of(ledger, rows), strict=True):
        seconds = None if other.started is None else max(0.0, now - other.started)
        yield Other(other.job_id, other.name, other.status.name, seconds, _takes(resources, there))


def last_lines(session: Session, row: Row, found: Mapping[str, Any], count: int) -> dict[str, list[str]]:
    """Return the last lines of what a job wrote, by stream; nothing of one that has not started."""
    if row.started is None or row.kind == PLAIN or not count:
        return {}
    if found["spool"]:
        return log_tails.of_spool(Path(found["spool"]), count)
    told: dict[str, list[str]] = {}
    with suppress(Exception):  # of an engine that is away there is nothing to show
        job = session.get_job(row.job_id)
        for stream in STREAMS if job.backend().capabilities.logs else ():
            if lines := log_tails.of_chunks(job.log_bytes(stream), count):
                told[stream] = lines
    return told
