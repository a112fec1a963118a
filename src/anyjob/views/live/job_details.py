"""One job, closely: what is known of it, why it is where it is, and what it writes."""

from __future__ import annotations

import codecs
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from anyjob.errors import in_words
from anyjob.ledger.reading.job_directories import directory_of
from anyjob.ledger.rows import Row
from anyjob.outputs import job_logs
from anyjob.outputs.log_reading import check_stream
from anyjob.session.backends.plain_job import KIND as PLAIN
from anyjob.session.facade import Session
from anyjob.spool.private_files import read_range
from anyjob.text.markup import LINES
from anyjob.text.printable import printable, shortened
from anyjob.views.details.facts_of import collect
from anyjob.views.explanation.explain import explain

TOLD = (
    "job_id", "name", "state", "reason", "message", "work", "parameters", "tags", "route", "resources",
    "backend", "backend_type", "native_id", "host", "cwd", "python", "attempt", "attempts",
    "queue_position", "submitted", "started", "finished", "exit_code", "signal", "cpu_time", "peak_memory",
    "read_bytes", "written_bytes", "peak_gpu_memory", "cost", "currency", "progress", "prerequisites",
    "rerun_of", "superseded_by", "traceback", "spool",
)  # fmt: skip
"""What of a job's description is shown; options of backends are not."""
LONGEST = 20_000
MOST = 1_000
"""Entries of a list that are shown."""
PART = 64 * 1024
"""Bytes of a log that are read at a time."""


def details(session: Session, row: Row) -> dict[str, Any]:
    """Return what is known of a job, with why it is where it is, in words and with what can be done."""
    facts = collect(session, row)
    told = explain(facts)
    found = {key: facts.found[key] for key in TOLD}
    words = {"headline": told.headline, "why": told.why, "ways_out": told.ways_out}
    shown: dict[str, Any] = _harmless({**found, **words})
    return shown


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return shortened(printable(value, LINES), LONGEST)
    if isinstance(value, Mapping):
        return {_harmless(str(key)): _harmless(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_harmless(each) for each in value[:MOST]]
    return value if value is None or isinstance(value, (bool, int, float)) else _harmless(str(value))


class LogPart(NamedTuple):
    """A part of what a job has written.

    Args:
        begin: its offset in bytes.
        end: that of what follows.
        text: what there is; empty at the end.
        trouble: why it cannot be read; empty where it can.
    """

    begin: int
    end: int
    text: str
    trouble: str = ""


def log_part(session: Session, row: Row, stream: str, begin: int | None, size: int) -> LogPart:
    """Return a part of what a job has written, however much that is; None: the last of it, as far as is seen.

    Raises:
        JobError: a job has no such stream.
    """
    check_stream(stream)
    if row.kind == PLAIN or row.started is None:
        return LogPart(0, 0, "")
    path = directory_of(session.ledger, row) / stream
    try:
        if path.parent.is_dir():
            begin = max(0, _size(path) - size) if begin is None else begin
            return as_part(begin, read_range(path, begin, size))
        job = session.get_job(row.job_id)
        if not job.backend().capabilities.logs:
            return LogPart(0, 0, "", "its backend keeps no logs that can be read from here")
        return as_part(begin or 0, job_logs.reader(job, stream)(begin or 0)[:size])
    except Exception as error:  # of a plugin, or an engine that is away
        return LogPart(begin or 0, begin or 0, "", printable(in_words(error)))


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


def as_part(begin: int, data: bytes) -> LogPart:
    """Return bytes as text that moves no cursor; a character that is cut off is left to what follows.

    Of a line that was written over by carriage returns, as progress bars are, it is what was seen last.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data)
    end = begin + len(data) - len(decoder.getstate()[0])
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return LogPart(begin, end, "\n".join(printable(line, "\t") for line in lines))
